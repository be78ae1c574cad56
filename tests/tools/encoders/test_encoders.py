"""What every encoder keeps to: what it refuses, how its space is named, and that it leaves a processor free."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mmagent import Audio, Image, Preset, Text, Video
from mmagent.conformance import check as conform
from mmagent.errors import ModelError
from mmagent.registry import registry
from tests.tools.encoders.checkpoints import Folders, card_of, fresh, loaded, pickled, threads
from tests.tools.encoders.families import torch

if TYPE_CHECKING:
    from tests.tools.conftest import Listener

GIVEN: dict[str, Any] = {
    "image-encoder.v1": Image(np.full((20, 30, 3), 99, "uint8")),
    "audio-encoder.v1": Audio(np.sin(np.arange(8000, dtype="f4")), 16_000),
    "text-encoder.v1": Text("a small text"),
    "video-encoder.v1": Video(np.zeros((4, 20, 20, 3), "uint8"), fps=8),
}
OTHER: dict[str, Any] = {
    "image-encoder.v1": Image(np.eye(24, dtype="uint8")[..., None] * np.full(3, 200, "uint8")),
    "audio-encoder.v1": Audio(np.cos(np.arange(9000, dtype="f4")), 16_000),
    "text-encoder.v1": Text("[SEP] another one"),
    "video-encoder.v1": Video(np.full((3, 20, 20, 3), 99, "uint8"), fps=8),
}
OWN = {"image-encoder.v1": "vit", "audio-encoder.v1": "wav2vec2", "text-encoder.v1": "bert", "video-encoder.v1": "clip"}


def run(tool: Any, ctx: Any) -> Any:
    name = tool.card.name
    return tool.run(GIVEN[name]) if name == "image-encoder.v1" else tool.run(GIVEN[name], ctx)


@pytest.mark.parametrize(
    ("name", "family", "message"),
    [
        ("image-encoder.v1", "bert", r"holds no preprocessor_config\.json; save its image processor"),
        ("image-encoder.v1", "whisper", "prepares sound"),
        ("image-encoder.v1", "clap", "prepares sound"),
        ("video-encoder.v1", "whisper", "prepares sound"),
        ("audio-encoder.v1", "vit", "prepares pictures"),
        ("audio-encoder.v1", "bert", r"holds no preprocessor_config\.json; save its feature extractor"),
        ("text-encoder.v1", "vit", "holds no tokenizer; save it beside the model, or set tokenizer"),
        ("text-encoder.v1", "whisper", "hears sound; use audio-encoder"),
    ],
)
def test_a_checkpoint_of_another_kind_is_refused_before_loading(
    folders: Folders, name: str, family: str, message: str
) -> None:
    for output in ("pooled", "all"):
        if output == "pooled" or name.startswith(("image", "video")):
            with pytest.raises(ModelError, match=message):
                card_of(name, model=str(folders(family)), output=output)


def test_a_processor_of_the_whole_model_tells_as_much(folders: Folders, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(folders("whisper"), tmp_path / "whole"))
    own = folder / "preprocessor_config.json"
    (folder / "processor_config.json").write_text(json.dumps({"feature_extractor": json.loads(own.read_text())}))
    own.unlink()
    assert card_of("audio-encoder.v1", model=str(folder)).inputs[0].constraints["rate"] == 16_000
    for name, message in (("image-encoder.v1", "holds no preprocessor_config"), ("text-encoder.v1", "hears sound")):
        with pytest.raises(ModelError, match=message):
            card_of(name, model=str(folder), output="pooled")


def test_an_architecture_that_makes_something_else_is_an_error_of_the_model(folders: Folders, ctx: Listener) -> None:
    with pytest.raises(ModelError, match="encodec cannot be run as this tool runs it: TypeError"):
        run(loaded("audio-encoder.v1", model=str(folders("encodec"))), ctx)


@pytest.mark.parametrize("name", GIVEN)
def test_it_keeps_the_promises_of_its_card(folders: Folders, name: str) -> None:
    tool = Preset("small", registry.find(name), {"model": str(folders(OWN[name]))})
    only, port = ("types", "determinism", "concurrency", "unload"), name.split("-")[0]
    findings = list(conform(tool, inputs={port: [GIVEN[name], OTHER[name]]}, only=only))
    assert [item.status for item in findings] == ["ok"] * len(only), findings


@pytest.mark.parametrize("name", ["image-encoder.v1", "audio-encoder.v1", "text-encoder.v1"])
def test_pickled_weights_are_refused_unless_asked_for(
    folders: Folders, tmp_path: Path, ctx: Listener, name: str
) -> None:
    folder = pickled(folders(OWN[name]), tmp_path / "pickled")
    with pytest.raises(ModelError, match="unpickling can run code"):
        fresh(name, model=str(folder))
    expected = run(loaded(name, model=str(folders(OWN[name]))), ctx)
    assert np.array_equal(run(fresh(name, model=str(folder), pickle=True), ctx).array, expected.array)


@pytest.mark.parametrize(
    ("name", "states"),
    [
        ("image-encoder.v1", "patches"), ("video-encoder.v1", "patches"), ("audio-encoder.v1", "states"),
        ("text-encoder.v1", "tokens"),
    ],
)  # fmt: skip
def test_of_a_hub_id_that_is_not_here_only_the_space_is_known(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, states: str
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    card = card_of(name, model="somebody/tiny", revision="v2")
    assert card.outputs[0].constraints == {"space": f"tiny@v2.{states}"}
    assert (card.weights, card.cacheable) == ("", False)


def test_spaces_are_one_where_vectors_can_be_compared_and_several_where_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))

    def space(kind: str, **settings: object) -> object:
        return card_of(f"{kind}-encoder.v1", model="some/m", **settings).outputs[0].constraints["space"]

    kinds = ("image", "audio", "text", "points")
    assert [space(kind, output="pooled") for kind in kinds] == [f"m.{kind}.pooled" for kind in kinds]
    assert {space(kind, output="projected") for kind in kinds[:3]} == {"m.projected"}
    ways = ("auto", "mean", "cls", "max", "last", "model")
    assert len({space("text", output="pooled", pooling=way) for way in ways}) == len(ways)
    assert space("text", pooling="cls") == space("text")
    assert space("audio", layer=1) == "m.states1"


def test_the_cost_of_a_large_encoder_is_that_of_its_layers(folders: Folders, tmp_path: Path) -> None:
    for name in ("audio-encoder.v1", "text-encoder.v1"):
        folder = Path(shutil.copytree(folders("whisper" if name.startswith("audio") else "t5"), tmp_path / name))
        costs = []
        for width in (1024, 4096):
            fields = json.loads((folder / "config.json").read_text())
            (folder / "config.json").write_text(json.dumps({**fields, "d_model": width}))
            costs.append(card_of(name, model=str(folder)).cost)
        assert costs[1] == pytest.approx(16 * costs[0], rel=0.1)
        assert (
            card_of(name, model=str(folder), **({"windows": 9} if "audio" in name else {"padded": True})).cost
            != (costs[1])
        )


@pytest.mark.parametrize("name", GIVEN)
def test_a_processor_is_left_free(folders: Folders, ctx: Listener, name: str) -> None:
    tool = loaded(name, model=str(folders(OWN[name])))
    model = tool._network if hasattr(tool, "_network") else getattr(tool._tower, "tower", tool._tower).model
    assert threads(model, lambda: run(tool, ctx)) == {2}


@pytest.mark.parametrize("name", GIVEN)
def test_it_runs_in_the_precision_asked_for_and_gives_float32(folders: Folders, ctx: Listener, name: str) -> None:
    asked = {"model": str(folders(OWN[name]))}
    full, half = loaded(name, **asked), loaded(name, **asked, dtype="bfloat16")
    network = half._network if hasattr(half, "_network") else getattr(half._tower, "tower", half._tower).model
    assert {str(item.dtype) for item in network.parameters()} == {"torch.bfloat16"}
    made, exact = run(half, ctx), run(full, ctx)
    assert made.array.dtype == np.float32
    assert not np.array_equal(made.array, exact.array)
    assert np.corrcoef(made.array.ravel(), exact.array.ravel())[0, 1] > 0.9
    assert card_of(name, **asked, dtype="bfloat16").memory * 2 == pytest.approx(card_of(name, **asked).memory)


@pytest.mark.parametrize("device", ["cuda", "mps", "meta", "toaster"])
def test_a_device_that_is_not_here_is_an_error_of_the_model(folders: Folders, device: str) -> None:
    if device in ("cuda", "mps") and getattr(torch, device).is_available():
        pytest.skip(f"{device} is here")
    for name in GIVEN:
        with pytest.raises(ModelError, match=f"there is no device {device} here .*; set device to cpu, or to auto"):
            fresh(name, model=str(folders(OWN[name])), device=device)
