"""Which tests stay out of the developer's loop because they run the libraries below: told by where they lie."""

from __future__ import annotations

from pathlib import Path

import pytest

RUN_LIBRARIES = (
    "adapters",
    "checkpoint",
    "diffusion",
    "model/projectors",
    "model/test_chat_http.py",
    "model/test_chat_page.py",
    "tools/encoders",
    "tools/whispers",
    "tools/test_audio_diffusion.py",
    "tools/test_image_diffusion.py",
    "tools/test_text_to_speech.py",
    "tools/test_video_diffusion.py",
    "training",
)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    places = [Path(__file__).parent / name for name in RUN_LIBRARIES]
    missing = [str(place) for place in places if not place.exists()]
    if missing:
        raise pytest.UsageError(f"{missing[0]} is gone; mend RUN_LIBRARIES in {__file__}")
    for item in items:
        if any(item.path == place or place in item.path.parents for place in places):
            item.add_marker(pytest.mark.library)
