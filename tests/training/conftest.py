"""Small real media files, and records that refer to them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mmagent.media import Audio, Image, Video

Write = Callable[..., Path]


@pytest.fixture
def picture(tmp_path: Path) -> Write:
    """Writes a picture of one colour, which the name decides, below the test's folder."""

    def write(name: str, shade: int = 100) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return Image(np.full((6, 4, 3), shade, np.uint8)).save(path)

    return write


@pytest.fixture
def sound(tmp_path: Path) -> Write:
    """Writes a tenth of a second of a sine."""

    def write(name: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return Audio(0.3 * np.sin(np.arange(800) / 5).astype("float32"), 8000).save(path)

    return write


@pytest.fixture
def film(tmp_path: Path) -> Write:
    """Writes three frames."""

    def write(name: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return Video(np.full((3, 16, 16, 3), 90, np.uint8), fps=4).save(path)

    return write
