"""The form of packed features on disk: raw arrays in shards, and a line of JSON for each record.

    <folder>/<part>.ndjson        first {"magic": "mmagent.shards", "version": 1, "made": {…}, "digest": "…"}, then
                                  {"key": "…", "shard": 0, "arrays": {"states": ["float16", [50, 768], 64]},
                                   "facts": {"states": "clip.vit-b-32"}}
    <folder>/<part>-00000.bin     64 bytes that begin with `MMSHARD1` and the digest; arrays, each at a multiple of 64

An array is its values in C order, little-endian, at the offset that its line names. `part` lets several processes
write one folder. safetensors was not taken: its header comes first and tells everything, so that a file of it cannot
grow; this one only ever does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blake3 import blake3

from mmagent.errors import ModelError

MAGIC, SHARD_MAGIC, VERSION = "mmagent.shards", b"MMSHARD1", 1
ALIGN = 64
"""Bytes at a multiple of which every array begins: what every instruction set wants of its loads."""

DTYPES = ("float16", "float32", "int64", "int32", "uint8", "bool")


def digest_of(made: Mapping[str, Any]) -> str:
    """What tells how the arrays were made from any other way (hex)."""
    return blake3(json.dumps(made, sort_keys=True).encode()).hexdigest()


def shard_path(folder: Path, part: str, number: int) -> Path:
    """Where a shard is."""
    return folder / f"{part}-{number:05d}.bin"


def shard_head(digest: str) -> bytes:
    """The first 64 bytes of a shard."""
    return (SHARD_MAGIC + bytes.fromhex(digest)).ljust(ALIGN, b"\0")


@dataclass(frozen=True, slots=True)
class Entry:
    """Where the arrays of a record are: dtype, shape and offset by kind, in a shard of a part; and what is said of it."""

    part: str
    shard: int
    arrays: Mapping[str, tuple[str, tuple[int, ...], int]]
    facts: Mapping[str, str]

    @property
    def end(self) -> int:
        """Where the last of its arrays ends."""
        return max(offset + size_of(dtype, shape) for dtype, shape, offset in self.arrays.values())


def size_of(dtype: str, shape: tuple[int, ...]) -> int:
    """Bytes of an array."""
    size = {"float16": 2, "float32": 4, "int64": 8, "int32": 4, "uint8": 1, "bool": 1}[dtype]
    for length in shape:
        size *= length
    return size


def header(line: bytes, path: Path) -> dict[str, Any]:
    """The first line of an index; ModelError if the file is none."""
    try:
        found = json.loads(line)
        right = found["magic"] == MAGIC and found["digest"] == digest_of(found["made"])
        version = found["version"]
    except (ValueError, KeyError, TypeError):
        right, version = False, 0
    if not right:
        raise ModelError(f"{path} is no index of packed features; delete it, or name another folder")
    if version != VERSION:
        raise ModelError(f"{path} has version {version} of the format, not {VERSION}; pack the features again")
    return dict(found)


def entries(path: Path, digest: str) -> tuple[dict[str, Entry], int]:
    """The records of an index, and how many of its bytes are whole lines.

    A last line that was cut short is left out, and so is what a shard is too short for. ModelError if the arrays
    were made in another way than `digest` tells.
    """
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    first, *lines = data[:whole].split(b"\n")[:-1] or [b""]
    if header(first, path)["digest"] != digest:
        raise ModelError(f"{path} holds features that were made in another way; name another folder, or delete it")
    part, found, sizes = path.stem, {}, dict[int, int]()
    at = len(first) + 1
    for line in lines:
        try:
            told = json.loads(line)
            key, shard = str(told["key"]), int(told["shard"])
            arrays = {kind: (dtype, tuple(shape), offset) for kind, (dtype, shape, offset) in told["arrays"].items()}
            entry = Entry(part, shard, arrays, told["facts"])
            end = entry.end
        except (ValueError, KeyError, TypeError) as error:
            raise ModelError(f"{path} is damaged at byte {at:,} ({error}); delete its part and pack it again") from None
        if shard not in sizes:
            sizes[shard] = _size(shard_path(path.parent, part, shard), digest)
        if end > sizes[shard]:
            break  # a power cut may keep the line and lose the data, of it and of all that came after
        found[key] = entry
        at += len(line) + 1
    return found, at


def _size(path: Path, digest: str) -> int:
    try:
        with path.open("rb") as file:
            if not shard_head(digest).startswith(file.read(ALIGN)):  # a head cut short holds no arrays
                raise ModelError(f"{path} is no shard of these features; delete its part and pack it again")
        return path.stat().st_size
    except FileNotFoundError:
        return 0
