"""Media that a record refers to: where they are, not what they hold. They are read only when asked for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar

from mmagent.errors import IntakeError
from mmagent.intake import Limits, read
from mmagent.intake.kinds import KINDS
from mmagent.media import Media, modality
from mmagent.media.modalities import kinds
from mmagent.training.data.bad import told

_DEFAULT = Limits()


class Reference(ABC):
    """A medium of a known modality in some file. `place` names it in reports."""

    __slots__ = ()

    modality: str

    @property
    @abstractmethod
    def place(self) -> str:
        """The file, and the member or row of it."""

    @abstractmethod
    def mark(self) -> str:
        """What changes when the bytes may have changed, without reading them; "" if that cannot be told."""

    @abstractmethod
    def read(self, limits: Limits) -> bytes:
        """The bytes as they are in the file; IntakeError if they are not there or over the limits."""

    def open(self, limits: Limits | None = None) -> Media:
        """The medium itself, decoded within limits; BadRecord if it is missing, damaged or too large."""
        with told(self.place):
            return modality(self.modality).decode(self.read(limits or _DEFAULT), self.place, limits)


@dataclass(frozen=True, slots=True)
class InFile(Reference):
    """A medium that is a file."""

    modality: str
    path: Path

    @property
    def place(self) -> str:
        return str(self.path)

    def mark(self) -> str:
        return f"{self.path.absolute()}\0{_stamp(self.path)}"

    def read(self, limits: Limits) -> bytes:
        return read(self.path, limits=limits).data


@dataclass(frozen=True, slots=True)
class InTar(Reference):
    """A medium that is a member of an uncompressed tar: `size` bytes from `offset` on."""

    modality: str
    path: Path
    name: str
    offset: int
    size: int

    @property
    def place(self) -> str:
        return f"{self.path}/{self.name}"

    def mark(self) -> str:
        return f"{self.path.absolute()}\0{self.offset}\0{self.size}\0{_stamp(self.path)}"

    def read(self, limits: Limits) -> bytes:
        limits.check("file_bytes", self.size, self.place)
        with self.path.open("rb") as file:
            file.seek(self.offset)
            data = file.read(self.size)
        if len(data) != self.size:
            raise IntakeError(f"{self.place}: the archive ends in the middle of it; copy the shard again")
        return data


def _stamp(path: Path) -> str:
    try:
        found = path.stat()
    except OSError as error:
        raise IntakeError(f"cannot read {path}: {error.strerror}") from None
    return f"{found.st_size}\0{found.st_mtime_ns}"


class Folder:
    """A folder of media, out of which nothing is read: no absolute path, no `..`, no link that leads away."""

    _REFUSED: ClassVar[str] = "lies outside {folder}; paths are relative to it and stay in it"

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._whole = self.path.resolve()
        if not self._whole.is_dir():
            raise IntakeError(f"{path} is no folder of media; name the one that the records' paths are relative to")

    def file(self, inside: str, kind: str | None = None) -> InFile:
        """The file of that relative path as a medium; its modality follows from its ending if not given.

        IntakeError if it is not there, or lies outside.
        """
        named = PurePosixPath(inside)
        if not inside or "\0" in inside or "\\" in inside or named.is_absolute() or ".." in named.parts:
            raise IntakeError(f"{inside!r:.200} {self._REFUSED.format(folder=self.path)}")
        path = self.path / named
        try:
            whole = path.resolve(strict=True)
        except (OSError, RuntimeError):
            raise IntakeError(f"there is no media file {path}") from None
        if not whole.is_relative_to(self._whole):
            raise IntakeError(f"{inside!r:.200} {self._REFUSED.format(folder=self.path)}")
        if not whole.is_file():
            raise IntakeError(f"{path} is no file")
        return InFile(kind or modality_of(inside), path)


def modality_of(name: str) -> str:
    """The modality that a file's ending stands for; IntakeError if it stands for none."""
    ending = PurePosixPath(name).suffix.lower()
    found = KINDS.get(ending) or kinds().get(ending)
    if found is None:
        raise IntakeError(f"{name!r:.200} has an ending that no modality is known by; say which modality it is")
    return found


Resolve = Callable[[str, str], Reference]
"""From a path that a record names, and the modality it says it has, to the medium."""
