"""Results of calls kept on disk, by recipe, within a budget of bytes; shared by processes, never waited for.

    <root>/<aa>/<digest><suffix>        a medium, in its modality's lossless format
    <root>/recipes/<aa>/<key>.json      which media a call made

Files are written whole or not at all and checked when they are read, so no lock is needed: whatever another
process does to a file, it is there and right, or it counts as absent.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from time import time
from typing import Any

from blake3 import blake3

from mmagent.errors import MediaError
from mmagent.media import Embedding, Media, modality

DISK = 4 * 2**30
"""Bytes of files that a store keeps, if it is not told otherwise."""

_STALE = 3600.0
"""Seconds after which a draft was left behind by a process that died."""


def default_root() -> Path:
    """`$MMAGENT_CACHE/store`, or `store` in the user's cache folder."""
    named = os.environ.get("MMAGENT_CACHE")
    if named:
        return Path(named).expanduser() / "store"
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("mmagent")) / "store"


class Store:
    """Keeps the outputs of calls as files, those used last when `budget` bytes do not hold them all.

    Media without a file format that keeps them exactly are not kept, nor the results that hold them. Writing
    happens in a thread of its own; `flush` waits for it.
    """

    def __init__(self, root: str | Path | None = None, budget: int = DISK) -> None:
        self.root = Path(root) if root is not None else default_root()
        self.budget = budget
        self._room = 0
        """Bytes that may still be written before the files are counted again."""
        self.after_fork()

    def after_fork(self) -> None:
        """Start anew, also in a child process: there the thread is not, and what it had to write is the parent's."""
        self._lock = threading.Lock()
        self._queue: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def get(self, key: str) -> tuple[Any, ...] | None:
        """The outputs of that call, by port, or None; a file that is not what it should be is removed."""
        path = self._recipe(key)
        try:
            entry = json.loads(path.read_bytes())
            values = tuple(self._read_value(value) for value in entry["outputs"])
            os.utime(path)
        except FileNotFoundError:
            return None
        except Exception:  # damaged, or of a modality whose decoder refuses it: all the same to the caller
            _remove(path)
            return None
        return values

    def put(self, key: str, values: tuple[Any, ...]) -> None:
        """Keep the outputs of a call; returns at once."""
        self._later(lambda: self._write(key, values))

    def flush(self) -> None:
        """Wait until everything that was put is written."""
        if self._thread is not None:
            written = threading.Event()
            self._later(written.set)
            written.wait()

    # -- reading

    def _recipe(self, key: str) -> Path:
        return self.root / "recipes" / key[:2] / f"{key}.json"

    def _content(self, digest: str, suffix: str) -> Path:
        return self.root / digest[:2] / f"{digest}{suffix}"

    def _read_value(self, value: Any) -> Any:
        if value is None:
            return None
        return tuple(map(self._read, value)) if isinstance(value, list) else self._read(value)

    def _read(self, item: dict[str, str]) -> Media:
        path = self._content(item["digest"], item["suffix"])
        data = path.read_bytes()
        media = modality(item["modality"]).decode(data, path.name)
        if isinstance(media, Embedding):
            media = Embedding(media.array, media.space, media.mask, digest=item["digest"])
        if blake3(data).hexdigest() != item["file"] or media.digest != item["digest"]:
            _remove(path)
            raise MediaError(f"{path} is not what was stored")
        os.utime(path)
        return media

    # -- writing, in the store's own thread

    def _later(self, work: Callable[[], object]) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="mmagent-store", daemon=True)
                self._thread.start()
        self._queue.put(work)

    def _serve(self) -> None:
        while True:
            work = self._queue.get()
            with suppress(Exception):  # no format, no space, no right to write: the result is not kept, no more
                work()
            del work  # lets go of the media while it waits

    def _write(self, key: str, values: tuple[Any, ...]) -> None:
        outputs = [
            None if value is None else [*map(self._keep, value)] if isinstance(value, tuple) else self._keep(value)
            for value in values
        ]
        self._put_file(self._recipe(key), json.dumps({"outputs": outputs}).encode())

    def _keep(self, media: Media) -> dict[str, str]:
        data = media.encode()
        again = type(media).decode(data)
        content = Embedding(media.array, media.space, media.mask) if isinstance(media, Embedding) else media
        if again.digest != content.digest or modality(media.modality) is not type(media):
            raise MediaError(f"{type(media).__name__} does not come back from its file as it was")
        self._put_file(self._content(media.digest, media.suffix), data)
        return {
            "modality": media.modality,
            "digest": media.digest,
            "suffix": media.suffix,
            "file": blake3(data).hexdigest(),
        }

    def _put_file(self, path: Path, data: bytes) -> None:
        from mmagent.intake.disk import write_atomic

        if self._room < len(data):
            self._make_room(len(data))
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, data)
        self._room -= len(data)

    def _make_room(self, needed: int) -> None:
        """Count the files and remove those longest unused, until a tenth of the budget is free."""
        files = sorted(_files(self.root))
        total = sum(size for _, size, _ in files)
        goal = self.budget if total + needed <= self.budget else self.budget * 9 // 10
        for changed, size, path in files:
            left_behind = path.endswith(".part")
            if left_behind and time() - changed < _STALE:
                continue
            if total + needed > goal or left_behind:
                _remove(Path(path))
                total -= size
        if total + needed > self.budget:
            raise MediaError(f"{needed} bytes do not fit into a store of {self.budget}")
        # Other processes write as well: no more than a part of what is free is used before counting again.
        self._room = max(needed, (self.budget - total) // 4)


def _files(root: Path) -> list[tuple[float, int, str]]:
    """Every file as (time of last use, bytes, path)."""
    found = []
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)  # noqa: PTH118  # a Path for each of many files costs more than the walk
            try:
                status = os.stat(path)  # noqa: PTH116  # the same
            except OSError:
                continue  # another process has removed it
            found.append((status.st_mtime, status.st_size, path))
    return found


def _remove(path: Path) -> None:
    with suppress(OSError):  # in use, on a system that forbids it; it will be removed another time
        path.unlink(missing_ok=True)
