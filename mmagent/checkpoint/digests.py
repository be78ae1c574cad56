"""Telling checkpoints apart: a digest of weights and configs, remembered between processes.

A file of which size and times are those of the last look is not read again.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from blake3 import blake3

from mmagent.checkpoint.files import members
from mmagent.checkpoint.place import given_path, here, named
from mmagent.fetch import cache_folder, weights

_SETTLED = 2.0
"""Seconds after which a file's times tell that it changed; some file systems count in seconds."""


def digest(model: str, *, revision: str = "") -> str:
    """What tells this checkpoint from any other: BLAKE3 (hex) of its weights and configs, by name and content.

    For a hub id it is the commit of the snapshot in the cache; "" if it is not there yet. For a set of weights it is
    the set's own, which is known before it is fetched.
    """
    if name := named(model):
        return weights(name).digest
    path = here(model, revision)
    if path is None:
        return ""
    if given_path(model) is None:
        return path.name  # the commit
    hasher = blake3()
    for member in members(path):
        name = member.name if path.is_file() else member.relative_to(path).as_posix()
        hasher.update(f"{name}\0{_content(member)}\0".encode())
    return hasher.hexdigest()


def _content(path: Path) -> str:
    """The BLAKE3 of a file, from memory if the file is as it was."""
    whole = path.resolve()
    note = cache_folder().parent / "digests" / f"{blake3(str(whole).encode()).hexdigest()[:32]}.json"
    found = whole.stat()
    stamp = [found.st_size, found.st_mtime_ns, found.st_ctime_ns]
    try:
        known = json.loads(note.read_text())
        if known["stamp"] == stamp:
            return str(known["blake3"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not seen yet, or a note cut short
    hasher = blake3(max_threads=blake3.AUTO)
    hasher.update_mmap(whole)
    value = hasher.hexdigest()
    if time.time() - max(found.st_mtime, found.st_ctime) > _SETTLED:
        _keep(note, {"path": str(whole), "stamp": stamp, "blake3": value})
    return value


def _keep(note: Path, entry: dict[str, object]) -> None:
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        draft = note.with_suffix(f".{os.getpid()}-{time.monotonic_ns()}")
        draft.write_text(json.dumps(entry))
        draft.replace(note)
    except OSError:
        pass  # a cache that cannot be written: the file is read again next time
