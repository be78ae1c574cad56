"""`mmagent model`: what a model is made of, told without loading it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import Result

from mmagent.cli.exits import FAILED, USAGE

Command = Callable[..., Result]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that sees by the shipped features of pictures, on a backbone of which config and weights are here."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    place = tmp_path_factory.mktemp("model")
    config = transformers.LlamaConfig(
        vocab_size=50, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2
    )
    torch.manual_seed(0)
    transformers.LlamaForCausalLM(config).save_pretrained(place / "backbone")
    said = {
        "name": "seer", "doc": "Sees.", "backbone": {"path": str(place / "backbone")},
        "inputs": {"image": {"encoder": "image-features", "projector": {"kind": "mlp"}}},
        "outputs": {"image": {"k": 2, "projector": {"kind": "mlp"}, "generator": "no-such-brush"}},
        "lora": {"rank": 2},
    }  # fmt: skip
    (place / "model.yaml").write_text(yaml.safe_dump(said))
    return place


def test_a_model_is_shown_with_spaces_sizes_and_what_is_trained(mm: Command, folder: Path) -> None:
    found = json.loads(mm("model", "show", folder, "--json").output)
    rows = {row["name"]: row for row in found["rows"]}
    assert list(rows) == [
        "image encoder", "inputs.image", "backbone", "lora", "signals.image", "outputs.image", "image generator",
    ]  # fmt: skip
    reader = rows["inputs.image"]
    assert (reader["into"], reader["size"], reader["state"]) == ("efficientnet-lite0.grid", "1280 to 16", "untrained")
    assert reader["parameters"] == 1280 * 16 + 16 + 16 * 16 + 16
    assert rows["backbone"]["parameters"] == 2 * 50 * 16 + 4 * 16 * 16 + 3 * 16 * 16 + 3 * 16
    assert rows["backbone"]["state"] == "frozen" and rows["image generator"]["state"] == "missing"
    assert rows["signals.image"]["parameters"] == 2 * 3 * 16
    assert found["train"] - found["run"] == 12 * (reader["parameters"] + 2 * 3 * 16)


def test_parts_can_be_picked_by_modality_and_memory(mm: Command, folder: Path) -> None:
    def names(*options: object) -> list[str]:
        return [row["name"] for row in json.loads(mm("model", "show", folder, "--json", *options).output)["rows"]]

    assert "backbone" not in names("--modality", "image") and "inputs.image" in names("--modality", "image")
    assert "image encoder" not in names("--memory", "30MB") and "backbone" in names("--memory", "30MB")


def test_a_model_is_drawn(mm: Command, folder: Path, tmp_path: Path) -> None:
    mm("model", "show", folder, "--draw", tmp_path / "model.svg")
    mm("model", "show", folder, "--draw", tmp_path / "model.mmd")
    text = (tmp_path / "model.svg").read_text()
    assert text.startswith("<svg") and "image-features" in text and "backbone" in text
    drawn = (tmp_path / "model.mmd").read_text()
    assert drawn.startswith("flowchart") and "no-such-brush" in drawn
    assert mm("model", "show", folder, "--draw", tmp_path / "model.png").exit_code == USAGE


def test_the_shipped_models_and_those_of_folders_are_listed(mm: Command, folder: Path) -> None:
    lines = mm("model", "list", folder).output.splitlines()
    assert [line.split("\t")[0] for line in lines] == ["pocket", "seer"]
    assert lines[0].split("\t")[2] == "image, audio, speech, video"
    small = mm("model", "list", folder, "--memory", "100MB").output
    assert small.startswith("seer") and "pocket" not in small
    assert mm("model", "list", "--modality", "points").output == ""


def test_a_size_that_is_none_and_a_model_that_is_none_are_refused(mm: Command, tmp_path: Path) -> None:
    assert mm("model", "list", "--memory", "big").exit_code == USAGE
    assert mm("model", "show", "poket").exit_code == USAGE
    (tmp_path / "model.yaml").write_text("name: talker\nchat: {model: gpt-4o-mini, provider: openai}\n")
    assert mm("model", "show", tmp_path).exit_code in (FAILED, USAGE)
