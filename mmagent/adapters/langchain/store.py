"""Media by handle, so that messages, checkpoints and prompts carry a short name and not the bytes."""

from __future__ import annotations

import threading
from pathlib import Path

from mmagent.errors import IntakeError, MediaError
from mmagent.media import Embedding, Media, Text, modality

PREFIX = "media:"
_SHORTEST = 12


class MediaStore:
    """Holds media; `put` gives a handle (`media:3f9a01c2b4d5`), `get` the medium again. Any thread may use it.

    The handle is the beginning of the medium's digest, as long as it has to be. With a `folder` each medium is
    a file there too, in its lossless format, and is found again by another process.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self._folder = None if folder is None else Path(folder)
        self._held: dict[str, Media] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, handle: object) -> bool:
        return isinstance(handle, str) and self._find(handle) is not None

    def put(self, medium: Media) -> str:
        """Hold a medium and return its handle; the same one for the same content."""
        digest = medium.digest
        with self._lock:
            handle = PREFIX + digest[:_SHORTEST]
            if handle in self._held and self._held[handle] != medium:
                handle = PREFIX + digest  # two digests that begin alike
            if handle not in self._held and self._folder is not None:
                self._write(self._folder, handle, medium)
            self._held[handle] = medium
        return handle

    def get(self, handle: str) -> Media:
        """The medium of that handle; IntakeError if none is held under it."""
        found = self._find(handle)
        if found is None:
            raise IntakeError(
                f"no medium is held as {handle[:80]!r}; put it into the store first, "
                "and give everything that shares handles the same store"
            )
        return found

    def drop(self, handle: str) -> None:
        """Forget a medium, and its file."""
        with self._lock:
            self._held.pop(handle, None)
            for path in self._files(handle):
                path.unlink(missing_ok=True)

    def _find(self, handle: str) -> Media | None:
        with self._lock:
            if handle not in self._held:
                for path in self._files(handle):
                    self._held[handle] = _read(path, handle)
            return self._held.get(handle)

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
