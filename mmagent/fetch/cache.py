"""The cache of weight sets: one folder a set, whole or not there, checked each time it is handed out.

A set is built in a folder beside its place and renamed into it under a lock, so that neither a kill nor another
fetcher ever leaves a half one. It knows nothing of where files come from.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

CACHE_ENV = "MMAGENT_CACHE"
_STAMPS = ".stamps.json"


def cache_folder() -> Path:
    """Where weights are kept: `$MMAGENT_CACHE/weights`, else in the user's cache folder."""
    given = os.environ.get(CACHE_ENV)
    if given:
        return Path(given).expanduser() / "weights"
    import platformdirs

    return Path(platformdirs.user_cache_dir("mmagent")) / "weights"


def intact(folder: Path) -> bool:
    """Whether `folder` holds a whole set, unchanged.

    A file whose size and time are those recorded when it was verified is taken as unchanged; any other is
    hashed, and its new time recorded if its content is right.
    """
    try:
        stamps = json.loads((folder / _STAMPS).read_text())
        moved = False
        for name, stamp in stamps.items():
            path = folder / name
            found = path.stat()
            if found.st_size != stamp["size"]:
                return False
            if found.st_mtime_ns != stamp["mtime_ns"]:
                if _sha256(path) != stamp["sha256"]:
                    return False
                stamp["mtime_ns"], moved = found.st_mtime_ns, True
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
    if moved:
        try:
            _write_stamps(folder, stamps)
        except OSError:
            pass  # a cache that others own: it is right all the same, and will be hashed again
    return bool(stamps)


def present(folder: Path) -> bool:
    """Whether a set was put there and none of its files is missing or cut short; nothing is hashed."""
    try:
        stamps = json.loads((folder / _STAMPS).read_text())
        return bool(stamps) and all((folder / name).stat().st_size == stamp["size"] for name, stamp in stamps.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def build(folder: Path, fill: Callable[[Path], None]) -> None:
    """Replace `folder` by what `fill` puts into an empty one; if `fill` raises, nothing changes.

    Call it under `lock(folder)`: it clears what a killed fetcher left.
    """
    prefix = f".{folder.name}-part-"
    for leftover in folder.parent.glob(f"{prefix}*"):
        shutil.rmtree(leftover, ignore_errors=True)
    place = Path(tempfile.mkdtemp(dir=folder.parent, prefix=prefix))
    try:
        fill(place)
        place.chmod(0o755)  # mkdtemp makes it private
        stamps = {}
        for path in sorted(item for item in place.rglob("*") if item.is_file()):
            path.chmod(0o644)  # some libraries write through private temporary files
            found = path.stat()
            stamps[path.relative_to(place).as_posix()] = {
                "sha256": _sha256(path), "size": found.st_size, "mtime_ns": found.st_mtime_ns,
            }  # fmt: skip
            _sync(path)
        _write_stamps(place, stamps)
        if folder.exists():
            shutil.rmtree(folder)
        place.rename(folder)
    finally:
        shutil.rmtree(place, ignore_errors=True)


@contextmanager
def lock(folder: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the right to write `folder`, against other processes and threads; `waiting` is called while it is taken.

    The system frees it when its holder dies.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{folder.name}.lock").open("a+b") as handle:
        while not _try_lock(handle):
            waiting()
            time.sleep(0.2)
        yield  # closing the file frees the lock


def _try_lock(handle: IO[bytes]) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            handle.seek(0)
            msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _sync(path: Path) -> None:
    with path.open("rb+") as handle:
        os.fsync(handle.fileno())


def _write_stamps(folder: Path, stamps: object) -> None:
    handle, name = tempfile.mkstemp(dir=folder, prefix=".stamps-")
    with os.fdopen(handle, "w") as out:
        json.dump(stamps, out, indent=1)
    Path(name).chmod(0o644)
    Path(name).replace(folder / _STAMPS)
