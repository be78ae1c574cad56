"""The hub's own client against a hub on this machine."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mmagent.fetch.sources import File

pytest.importorskip("huggingface_hub")

REVISION = "ab810cf68114990406fdf996510dd3d3c6adbdf5"

# A process of its own, since the client reads its endpoint when it is imported.
_TAKE = """
import sys
from pathlib import Path
from mmagent.fetch.sources import File, Hub, Unavailable
name, sha256, size, folder, path = sys.argv[1:]
source = Hub("somebody/tiny", "REVISION", {name: path})
try:
    source.take([File(name, sha256, int(size))], Path(folder), lambda note, done, total: print(note, done, total))
except Unavailable as reason:
    print("unavailable:", reason)
""".replace("REVISION", REVISION)


@pytest.fixture
def hub(content: bytes) -> Iterator[str]:
    """The address of a hub that holds `weights/model.bin` at one revision."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer()

        def do_GET(self) -> None:
            if self.answer():
                self.wfile.write(content)

        def answer(self) -> bool:
            found = self.path == f"/somebody/tiny/resolve/{REVISION}/weights/model.bin"
            self.send_response(200 if found else 404)
            self.send_header("Content-Length", str(len(content) if found else 0))
            if found:
                self.send_header("ETag", '"0123456789"')
                self.send_header("X-Repo-Commit", REVISION)
            else:
                self.send_header("X-Error-Code", "EntryNotFound")
            self.end_headers()
            return found

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def take(hub: str, file: File, folder: Path, path: str) -> str:
    arguments = [file.name, file.sha256, str(file.size), str(folder), path]
    environment = {
        "PATH": "/usr/bin:/bin",
        "HF_ENDPOINT": hub,
        "HF_HOME": str(folder / "home"),
        "HF_HUB_DISABLE_XET": "1",
    }
    done = subprocess.run([sys.executable, "-c", _TAKE, *arguments], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_file_of_a_pinned_revision_comes_from_the_hub(
    hub: str, payload: File, content: bytes, tmp_path: Path
) -> None:
    said = take(hub, payload, tmp_path, "weights/model.bin")
    assert said == f"Hugging Face somebody/tiny@{REVISION} 0 {payload.size}\n"
    assert (tmp_path / "model.bin").read_bytes() == content
    assert not list(tmp_path.glob("hub-*"))


def test_a_file_that_the_hub_lacks_is_unavailable(hub: str, payload: File, tmp_path: Path) -> None:
    assert "unavailable: " in take(hub, payload, tmp_path, "weights/other.bin")
