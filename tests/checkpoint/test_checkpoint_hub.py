"""Downloading a hub id with the hub's own client, from a hub on this machine."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

pytest.importorskip("huggingface_hub")

COMMIT = "0123456789abcdef0123456789abcdef01234567"

# A process of its own, since the client reads its endpoint when it is imported.
_LOCATE = """
import json, sys
from mmagent.checkpoint import config, digest, locate
from mmagent.errors import MMAgentError
before = digest(sys.argv[1]), config(sys.argv[1])
try:
    path = locate(sys.argv[1])
    assert locate(sys.argv[1], download=False) == path
    found = sorted(item.name for item in path.iterdir()), digest(sys.argv[1]), config(sys.argv[1])["model_type"]
    print(json.dumps([before, found]))
except MMAgentError as error:
    print(type(error).__name__, error)
"""


@pytest.fixture
def hub(saved: Path) -> Iterator[str]:
    """The address of a hub that holds the small CLIP tower, and what should not be downloaded beside it."""
    files = {item.name: item.read_bytes() for item in saved.iterdir()}
    files |= {"pytorch_model.bin": b"pickled", "modeling.py": b"code", "README.md": b"words"}
    tree = [{"type": "file", "path": name, "size": len(data), "oid": name} for name, data in files.items()]
    api = "/api/models/somebody/tiny"

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, body: bool) -> None:
            path, headers, status = self.path.split("?")[0], {}, 200
            if path in (api, f"{api}/revision/main"):
                data = json.dumps({"id": "somebody/tiny", "sha": COMMIT, "siblings": []}).encode()
            elif path in (f"{api}/tree/main", f"{api}/tree/{COMMIT}"):
                data = json.dumps(tree).encode()
            elif path.startswith(f"/somebody/tiny/resolve/{COMMIT}/") and path.split("/")[-1] in files:
                data = files[path.split("/")[-1]]
                headers = {"ETag": f'"{path.split("/")[-1]}"', "X-Repo-Commit": COMMIT}
            else:
                data, status, headers = b"", 404, {"X-Error-Code": "RepoNotFound"}
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(data))}.items():
                self.send_header(name, value)
            self.end_headers()
            if body:
                self.wfile.write(data)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def locate(model: str, home: Path, **environment: str) -> str:
    fixed = {"PATH": "/usr/bin:/bin", "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1", "MMAGENT_CACHE": str(home)}
    done = subprocess.run(
        [sys.executable, "-c", _LOCATE, model], capture_output=True, text=True, env={**fixed, **environment}
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_a_hub_id_is_downloaded_once_without_pickles_and_code(hub: str, tmp_path: Path) -> None:
    before, found = json.loads(locate("somebody/tiny", tmp_path, HF_ENDPOINT=hub))
    assert before == ["", None]
    assert found == [["config.json", "model.safetensors"], COMMIT, "clip_vision_model"]
    again = json.loads(locate("somebody/tiny", tmp_path, HF_HUB_OFFLINE="1"))
    assert again[1] == found


def test_a_repository_that_is_not_there_says_so(hub: str, tmp_path: Path) -> None:
    said = locate("somebody/other", tmp_path, HF_ENDPOINT=hub)
    assert said.startswith("ModelError there is no folder somebody/other here, and no such repository on the hub")


def test_without_a_hub_the_command_for_later_is_given(tmp_path: Path) -> None:
    said = locate("somebody/tiny", tmp_path, HF_HUB_OFFLINE="1")
    assert said.startswith("Offline somebody/tiny is no folder here and not in the hub's cache")
    assert said.endswith("When it can be: hf download somebody/tiny\n")
