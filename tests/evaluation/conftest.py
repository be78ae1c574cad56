"""A small data set of squares on disk, and an agent that tells how bright one is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mmagent.media import Image
from mmagent.training.data import Jsonl

Write = Callable[..., Path]


@pytest.fixture
def squares(tmp_path: Path) -> Path:
    """Six records about six squares, each a little brighter than the one before."""
    folder = tmp_path / "squares"
    folder.mkdir()
    lines = []
    for number in range(6):
        Image(np.full((8, 8, 3), 20 + 40 * number, np.uint8)).save(folder / f"{number}.png")
        asked = [{"media": "image", "path": f"{number}.png"}, {"text": "What is its shade?"}]
        said = {"role": "assistant", "parts": [{"text": f"shade {number}"}]}
        lines.append({"kind": "instruction", "turns": [{"role": "user", "parts": asked}, said]})
    path = folder / "squares.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture
def source(squares: Path) -> Jsonl:
    return Jsonl(squares)
