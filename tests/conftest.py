"""Which tests stay out of the developer's loop because they run the libraries below: told by where they lie."""

from __future__ import annotations

from pathlib import Path

import pytest

RUN_LIBRARIES = (
    "adapters",
    "checkpoint",
    "diffusion",
    "evaluation",
    "test_examples.py",
    "model/projectors",
    "model/test_chat_http.py",
    "model/test_chat_page.py",
    "model/test_wired.py",
    "pocket/generators",
    "pocket/judges",
    "tools/encoders",
    "tools/whispers",
    "tools/test_audio_diffusion.py",
    "tools/test_image_diffusion.py",
    "tools/test_text_to_speech.py",
    "tools/test_video_diffusion.py",
    "training",
)


PLACES = [Path(__file__).parent / name for name in RUN_LIBRARIES]


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Where they are left out they are not imported either, since their imports take long."""
    return True if "not library" in config.option.markexpr and collection_path in PLACES else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    missing = [str(place) for place in PLACES if not place.exists()]
    if missing:
        raise pytest.UsageError(f"{missing[0]} is gone; mend RUN_LIBRARIES in {__file__}")
    for item in items:
        if any(item.path == place or place in item.path.parents for place in PLACES):
            item.add_marker(pytest.mark.library)
