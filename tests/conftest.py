"""Which tests hold an adapter to the library that it wraps: told by the folder they lie in."""

from __future__ import annotations

from pathlib import Path

import pytest

ADAPTERS = (
    "adapters",
    "checkpoint",
    "diffusion",
    "tools/encoders",
    "tools/whispers",
    "tools/test_audio_diffusion.py",
    "tools/test_image_diffusion.py",
    "tools/test_text_to_speech.py",
    "tools/test_video_diffusion.py",
)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    places = [Path(__file__).parent / name for name in ADAPTERS]
    missing = [str(place) for place in places if not place.exists()]
    if missing:
        raise pytest.UsageError(f"{missing[0]} is gone; mend ADAPTERS in {__file__}")
    for item in items:
        if any(item.path == place or place in item.path.parents for place in places):
            item.add_marker(pytest.mark.library)
