"""A model's folder on its way: extended by a modality, put on a hub and fetched from it."""

from __future__ import annotations

import base64
import inspect
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Annotated, Any

import huggingface_hub
import numpy as np
import pytest
import torch
from blake3 import blake3

from mmagent import Audio, Constraint, Embedding, Image, tool
from mmagent.errors import FetchError, ModelError, UnknownName
from mmagent.model import MMLM, ports, saved
from mmagent.model.hub import push
from mmagent.model.parts import Parts
from mmagent.registry import registry

Make = Callable[..., Any]


@tool(kind="encoder")
def folder_ear(audio: Audio) -> Annotated[Embedding, Constraint(width=6, space="ear.frames")]:
    """Encode a sound."""
    return Embedding(np.zeros((3, 6)), "ear.frames")


@tool(kind="generator")
def folder_horn(embeds: Annotated[Embedding, Constraint(tokens=5, width=10, space="horn.text")]) -> Audio:
    """Make a sound."""
    return Audio(np.zeros(8, "float32"), 8000)


@tool(kind="encoder")
def folder_eye(image: Image) -> Annotated[Embedding, Constraint(width=6, space="eye.grid")]:
    """Encode a picture."""
    return Embedding(np.zeros((3, 6)), "eye.grid")


@tool(kind="generator")
def folder_brush(embeds: Annotated[Embedding, Constraint(tokens=5, width=10, space="brush.text")]) -> Image:
    """Make a picture."""
    return Image(np.zeros((2, 2, 3), "uint8"))


@pytest.fixture(autouse=True)
def _tools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_added", dict(registry.added))
    registry.add(folder_ear, folder_horn, folder_eye, folder_brush)


@pytest.fixture
def parent(backbone: Any, spec_of: Make, tmp_path: Path) -> MMLM:
    """A saved model whose signal rows were trained."""
    parts = Parts.build(spec_of(), backbone, features={}, conditions={})
    with torch.no_grad():
        for value in parts.parameters():
            value.add_(1.0)
    parts.trained = {"signals"}
    return MMLM(parts.spec, backbone, folder=saved.save(parts, tmp_path / "parent"))


def test_an_extended_model_has_what_its_parent_learnt_and_names_it(parent: MMLM, tmp_path: Path) -> None:
    child = parent.extend("audio", tmp_path / "child", k=4, encoder="folder-ear", generator="folder-horn")
    assert parent.folder is not None and child.folder is not None
    assert child.told.parent == saved.digest(parent.folder)
    assert child.name == "small-audio" and child.makes == ("image", "speech")
    assert child.told.trained == ("signals.image", "signals.speech")
    parts, before = child.parts(), parent.parts()
    assert parts.asks == ("image", "speech") and parts.rows.table["audio"].k == 4
    for name in ("image", "speech"):
        assert torch.equal(parts.rows.of_out[name], before.rows.of_out[name])


def test_what_an_extended_model_learns_is_saved_with_what_it_had(parent: MMLM, backbone: Any, tmp_path: Path) -> None:
    child = parent.extend("audio", tmp_path / "child", encoder="folder-ear", generator="folder-horn")
    assert child.folder is not None
    spec = child.spec
    parts = saved.load(child.folder, backbone, features=ports.features(spec), conditions=ports.conditions(spec))
    assert parts.names() == [
        "inputs.audio", "signals.image", "signals.speech", "signals.audio", "outputs.audio",
    ]  # fmt: skip
    parts.trained |= {"inputs.audio", "outputs.audio", "signals.audio"}
    grown = MMLM(spec, backbone, folder=saved.save(parts, tmp_path / "grown"))
    assert grown.sees == ("audio",) and grown.makes == ("image", "speech", "audio")
    assert [card.name for card in grown.projectors] == ["small-audio-audio-projector.v1"]
    assert grown.told.parent == child.told.parent


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "neither comes in nor goes out"),
        ({"encoder": "folder-ear", "reader": {"kind": "query-transformer"}}, "cannot be extended by audio so"),
        ({"generator": "folder-horn", "k": 0}, "outputs.audio.k"),
        ({"generator": "folder-brush", "projector": "mlp"}, "outputs.audio: folder-brush.v1 makes image"),
        ({"encoder": "folder-eye"}, "inputs.audio: folder-eye.v1 takes image"),
        ({"encoder": "folder-ear", "k": 4}, "k: of no use to audio"),
        ({"encoder": "folder-ear", "opening": "a sound of"}, "opening: of no use"),
        ({"encoder": "folder-ear", "projector": "mlp", "reader": "linear"}, "projector: of no use"),
        ({"generator": "folder-horn", "reader": "mlp"}, "reader: of no use"),
    ],
)
def test_what_cannot_be_added_is_refused(parent: MMLM, tmp_path: Path, options: dict[str, Any], told: str) -> None:
    with pytest.raises(ModelError, match=told):
        parent.extend("audio", tmp_path / "child", **options)
    assert not (tmp_path / "child").exists()


def test_a_modality_is_added_once_and_into_a_folder_of_its_own(parent: MMLM, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="has speech out already"):
        parent.extend("speech", tmp_path / "child", generator="folder-horn", projector="mlp")
    with pytest.raises(ModelError, match="holds a model already"):
        parent.extend("audio", tmp_path / "parent", encoder="folder-ear")
    with pytest.raises(ModelError, match="save it first"):
        MMLM(parent.spec).extend("audio", tmp_path / "child", encoder="folder-ear")
    with pytest.raises(UnknownName):
        parent.extend("audio", tmp_path / "child", generator="no-such-horn")
    with pytest.raises(UnknownName):
        parent.extend("audio", tmp_path / "child", encoder="no-such-ear")


# -- the hub

COMMIT = "0" * 40


class _Hub(BaseHTTPRequestHandler):
    """As much of the hub's HTTP interface as a commit of small files takes, and its download."""

    files: dict[str, bytes]
    refuse = False

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if "/resolve/" in path:
            return self._send(200, self.files[path.rpartition("/")[2]])
        if "/tree/" in path:
            sizes = {name: len(content) for name, content in self.files.items()}
            return self._answer(200, [{"type": "file", "path": name, "size": size, "oid": name} for name, size in sizes.items()])  # fmt: skip
        return self._answer(200, {"id": "me/small", "sha": COMMIT, "siblings": []})

    do_HEAD = do_GET

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.refuse:
            return self._answer(403, {"error": "you may not"})
        if self.path == "/api/repos/create":
            said = json.loads(body)
            return self._answer(200, {"url": f"http://{self.headers['Host']}/me/{said['name']}"})
        if "/preupload/" in self.path:
            files = [{"path": item["path"], "uploadMode": "regular", "shouldIgnore": False} for item in json.loads(body)["files"]]  # fmt: skip
            return self._answer(200, {"files": files})
        if "/commit/" in self.path:
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    self.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            url = f"http://{self.headers['Host']}/me/x/commit/0123456789abcdef"
            return self._answer(200, {"success": True, "commitUrl": url, "commitOid": COMMIT})
        return self._answer(200, {})

    def _answer(self, status: int, content: Any) -> None:
        self._send(status, json.dumps(content).encode())

    def _send(self, status: int, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("ETag", f'"{blake3(data).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[_Hub]]:
    handler = type("Hub", (_Hub,), {"files": {}})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    here = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", here)
    files = "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", here + files)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield handler
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_model_goes_to_the_hub_and_comes_back_as_its_folder_is(
    parent: MMLM, backbone: Any, tmp_path: Path, hub: type[_Hub]
) -> None:
    assert parent.folder is not None
    url = parent.save_pretrained(tmp_path / "copy", push_to_hub=True, repo_id="me/small", token="hf_no")
    assert url is not None and "/commit/" in url
    assert set(hub.files) == {"README.md", "model.yaml", saved.NAME}
    assert b"library_name: mmagent" in hub.files["README.md"]
    hub.files["run.py"] = b"raise SystemExit"
    again = MMLM.from_pretrained("me/small", cache_dir=tmp_path / "cache", token=False, backbone=backbone)
    assert again.folder is not None and {path.name for path in again.folder.iterdir()} == {"model.yaml", saved.NAME}
    assert saved.digest(again.folder) == saved.digest(tmp_path / "copy") == saved.digest(parent.folder)
    assert again.parts().asks == ("image", "speech")
    hub.files.clear()  # what has come down once is here
    kept = MMLM.from_pretrained("me/small", cache_dir=tmp_path / "cache", local_files_only=True)
    assert kept.told.trained == parent.told.trained


def test_what_lies_on_this_machine_alone_does_not_go_to_the_hub(spec_of: Make, tmp_path: Path, hub: type[_Hub]) -> None:
    eye = {"tool": "folder-eye", "settings": {"model": str(tmp_path), "other": "owner/name"}}
    inputs = {"image": {"encoder": eye, "projector": {"kind": "mlp"}}}
    spec = spec_of(backbone={"path": "/far/llm"}, inputs=inputs)
    with pytest.raises(ModelError, match=f"names what nobody else has: {tmp_path}, /far/llm; put it on the hub"):
        MMLM(spec).push_to_hub("me/small", token="hf_no")
    assert hub.files == {}


def test_a_hub_that_refuses_says_so(parent: MMLM, hub: type[_Hub]) -> None:
    hub.refuse = True
    with pytest.raises(FetchError, match=r"the hub does not take me/small: .*403"):
        parent.push_to_hub("me/small", token="hf_no")


def test_a_model_comes_from_its_folder_without_a_hub(parent: MMLM, backbone: Any, tmp_path: Path) -> None:
    assert parent.save_pretrained(tmp_path / "copy") is None
    again = MMLM.from_pretrained(tmp_path / "copy", backbone=backbone)
    assert again.spec == parent.spec and again.told.trained == parent.told.trained
    assert again.parts().asks == ("image", "speech")


def test_a_repository_that_cannot_be_had_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(FetchError, match="nobody/nothing is no folder, and the hub does not give it"):
        MMLM.from_pretrained("nobody/nothing")


def test_options_are_those_of_the_hubs_own_mixin() -> None:
    mixin = huggingface_hub.ModelHubMixin
    pulled = inspect.signature(mixin.from_pretrained).parameters.keys() - {"model_kwargs"}
    assert pulled <= inspect.signature(MMLM.from_pretrained).parameters.keys()
    # What the mixin writes beside the weights is here the spec's: there is no config and no card to be given.
    pushed = inspect.signature(mixin.push_to_hub).parameters.keys() - {"self", "config", "model_card_kwargs"}
    assert pushed <= inspect.signature(push).parameters.keys()
