"""How many parameters a checkpoint has, by the headers of its files: nothing is loaded for it."""

from __future__ import annotations

import functools
import json
import math
from pathlib import Path

from mmagent import checkpoint
from mmagent.checkpoint.files import variant, weights
from mmagent.errors import Offline

_PICKLED_WIDTH = 4
"""Bytes of a parameter in a pickled file, of which nothing tells; those in half precision say so in their name."""


def chosen(part: Path) -> tuple[str, list[Path]]:
    """The weights of a part that are loaded, and in which other precision they are (`fp16`), or "" for the plain ones.

    One copy of them: safetensors before pickled ones, plain ones before others.
    """
    there = weights(part)
    there = [file for file in there if file.suffix == ".safetensors"] or there
    kind = min((variant(file.name) for file in there), default="")
    return kind, [file for file in there if variant(file.name) == kind]


def parameters(model: str, revision: str) -> dict[str, int]:
    """How many parameters each part of a checkpoint has; empty while it is not here."""
    try:
        path = checkpoint.locate(model, revision=revision, download=False)
    except Offline:
        return {}
    if path.is_file():
        return {"unet": _count(path)}  # nearly all of it, in the kind of checkpoint that comes as one file
    return {part.name: sum(map(_count, chosen(part)[1])) for part in path.iterdir() if part.is_dir()}


def _count(file: Path) -> int:
    found = file.stat()
    return _counted(file, found.st_size, found.st_mtime_ns)


@functools.cache
def _counted(file: Path, size: int, changed: int) -> int:
    if file.suffix == ".safetensors":
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")  # the format: a length, so much JSON, then the tensors
            try:
                header = json.loads(stream.read(length)) if length <= size else {}
                return sum(math.prod(item["shape"]) for name, item in header.items() if name != "__metadata__")
            except (ValueError, TypeError, KeyError, AttributeError):
                return 0  # loading it says what is wrong with it
    return size // (2 if variant(file.name) in ("fp16", "bf16") else _PICKLED_WIDTH)
