"""Media by handle, so that messages, checkpoints and prompts carry a short name and not the bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path

from mmagent.errors import IntakeError, MediaError
from mmagent.media import Embedding, Media, Text, modality

PREFIX = "media:"
_SHORTEST = 12


class MediaStore:
    """Holds media; `put` gives a handle (`media:3f9a01c2b4d5`), `get` the medium again. Any thread may use it.

    The handle is the beginning of the medium's digest, as long as it has to be. With a `folder` each medium is a file
    there, in its lossless format, and is found again by another process. Without, up to `budget` bytes of media are
    held: those that nobody has asked for the longest go first.
    """

    def __init__(self, folder: str | Path | None = None, budget: int = 2**30) -> None:
        self._folder = None if folder is None else Path(folder)
        self._budget, self._bytes = budget, 0
        self._held: OrderedDict[str, Media] = OrderedDict()
        self._lock = threading.RLock()

    def __len__(self) -> int:
        return len(self._held) if self._folder is None else len(list(self._folder.glob("*.*.*")))

    def __contains__(self, handle: object) -> bool:
        return isinstance(handle, str) and self._find(handle) is not None

    def put(self, medium: Media) -> str:
        """Hold a medium and return its handle; the same one for the same content."""
        with self._lock:
            handle = PREFIX + medium.digest[:_SHORTEST]
            held = self._find(handle)
            if held is not None and held != medium and held.encode() != medium.encode():
                handle = PREFIX + medium.digest  # two digests that begin alike
                held = self._find(handle)
            if held is None:
                self._keep(handle, medium)
        return handle

    def get(self, handle: str) -> Media:
        """The medium of that handle; IntakeError if none is held under it."""
        found = self._find(handle)
        if found is None:
            raise IntakeError(
                f"no medium is held as {handle[:80]!r}, or no longer; put it into the store first, give everything that "
                "shares handles the same store, and a store that shall forget nothing a folder"
            )
        return found

    def drop(self, handle: str) -> None:
        """Forget a medium, and its file."""
        with self._lock:
            gone = self._held.pop(handle, None)
            self._bytes -= gone.nbytes if gone is not None else 0
            for path in self._files(handle):
                path.unlink(missing_ok=True)

    def _find(self, handle: str) -> Media | None:
        with self._lock:
            if handle in self._held:
                self._held.move_to_end(handle)
            files = self._files(handle)
            return _read(files[0], handle) if files else self._held.get(handle)

    def _keep(self, handle: str, medium: Media) -> None:
        if self._folder is not None:
            self._write(self._folder, handle, medium)
            return
        self._held[handle] = medium
        self._bytes += medium.nbytes
        while self._bytes > self._budget and len(self._held) > 1:
            self._bytes -= self._held.popitem(last=False)[1].nbytes

    def _files(self, handle: str) -> list[Path]:
        digest = handle.removeprefix(PREFIX)
        if self._folder is None or not digest.isalnum():  # it becomes a pattern of file names
            return []
        return list(self._folder.glob(f"{digest}.*"))

    def _write(self, folder: Path, handle: str, medium: Media) -> None:
        if not medium.suffix:
            raise MediaError(f"{medium.modality} has no file format, so a store with a folder cannot hold it")
        folder.mkdir(parents=True, exist_ok=True)
        # The modality stands in the name, since Speech and Audio share a format.
        medium.save(folder / f"{handle.removeprefix(PREFIX)}.{medium.modality}{medium.suffix}")


def _read(path: Path, handle: str) -> Media:
    """The medium of a file that a store wrote; IntakeError if it is another by now."""
    medium = modality(path.name.split(".")[1]).decode(path.read_bytes(), path.name)
    # An Embedding's digest is the recipe that made it, and a Text's covers its language: neither is in the file.
    same = medium.digest.startswith(handle.removeprefix(PREFIX))
    if not same and not isinstance(medium, Embedding | Text):
        raise IntakeError(f"{path} is not what was put there; restore or delete it")
    return medium
