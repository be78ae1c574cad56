"""`mmagent model`: what a model is made of, told without loading it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import Result

from mmagent.cli.exits import FAILED, OK, USAGE
from mmagent.model.body import Body
from mmagent.model.spec import BackboneSpec, LoraSpec

Command = Callable[..., Result]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that sees by the shipped features of pictures, on a backbone of which config and weights are here; its
    generator is not."""
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


@pytest.fixture(scope="module")
def other(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes the model without its generator, with changes of its spec."""

    def make(**changes: object) -> Path:
        place = tmp_path_factory.mktemp("other")
        said = yaml.safe_load((folder / "model.yaml").read_text()) | {"name": "other", "outputs": {}} | changes
        (place / "model.yaml").write_text(yaml.safe_dump(said))
        return place

    return make


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
    assert rows["lora"]["parameters"] == 2 * 4 * (16 + 16)
    assert (found["run"], found["train"]) == (None, None)  # nobody knows the generator's size
    shown = mm("model", "show", folder).output.splitlines()[-1]
    assert shown == "what it takes is not known: nothing tells the size of outputs.image, image generator"


def test_what_a_model_takes_counts_every_part(mm: Command, other: Callable[..., Path]) -> None:
    found = json.loads(mm("model", "show", other(), "--json").output)
    rows = {row["name"]: row for row in found["rows"]}
    assert found["run"] == sum(row["memory"] for row in found["rows"])
    assert found["train"] - found["run"] == 12 * (rows["inputs.image"]["parameters"] + rows["lora"]["parameters"])


def test_gated_layers_are_counted_between_the_layers_of_the_llm(mm: Command, other: Callable[..., Path]) -> None:
    from mmagent.model.projectors.gated_cross_attention import GatedCrossAttention

    sizes = {"every": 1, "queries": 3, "layers": 1, "heads": 2, "head_dim": 4}
    gated = other(
        inputs={"image": {"encoder": "image-features", "projector": {"kind": "gated-cross-attention", **sizes}}}
    )
    found = json.loads(mm("model", "show", gated, "--json").output)
    (reader,) = (row for row in found["rows"] if row["name"] == "inputs.image")
    made = GatedCrossAttention(1280, 16, n_layers=1, **sizes)
    assert reader["parameters"] == sum(value.numel() for value in made.parameters())


def test_a_backbone_is_as_wide_as_its_embeddings_and_counted_once(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.OPTConfig(vocab_size=50, ffn_dim=16, word_embed_proj_dim=8, **shape)
    model = transformers.OPTForCausalLM(config)
    model.save_pretrained(tmp_path)
    shutil.copy(tmp_path / "model.safetensors", tmp_path / "consolidated.safetensors")
    count = sum(value.numel() for value in model.parameters())
    found = Body.of(BackboneSpec(path=str(tmp_path)))
    assert (found.width, found.layers, found.parameters) == (8, (2, 32), count)
    said = json.loads((tmp_path / "config.json").read_text())
    inner = {name: said.pop(name) for name in (*shape, "vocab_size", "word_embed_proj_dim")}
    (tmp_path / "config.json").write_text(json.dumps(said | {"text_config": inner}))
    assert Body.of(BackboneSpec(path=str(tmp_path))) == found
    assert found.lora(LoraSpec(rank=3, targets=("q_proj",))) == 3 * 2 * (32 + 32)
    assert found.lora(LoraSpec(targets=("q_proj", "o_proj"))) is None


@pytest.mark.parametrize(
    ("side", "what", "told"),
    [
        ("inputs", {"encoder": "image-features", "projector": {"kind": "mlp"}}, "inputs.imgae: image-features"),
        ("outputs", {"k": 2, "generator": "say", "projector": {"kind": "mlp"}}, "outputs.imgae: say"),
    ],
)
def test_a_modality_that_its_tool_does_not_know_is_told(
    mm: Command, other: Callable[..., Path], side: str, what: dict[str, object], told: str
) -> None:
    shown = mm("model", "show", other(**{side: {"imgae": what}}))
    assert shown.exit_code == FAILED
    assert told in shown.stderr


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


def test_the_shipped_models_and_those_of_folders_are_listed(
    mm: Command, folder: Path, other: Callable[..., Path]
) -> None:
    lines = mm("model", "list", folder).output.splitlines()
    assert [line.split("\t")[0] for line in lines] == ["pocket", "seer"]
    assert lines[0].split("\t")[2] == "image, audio, speech, video"
    small = mm("model", "list", folder, other(), "--memory", "100MB").output.splitlines()
    assert [line.split("\t")[0] for line in small] == ["other"]  # of the other one, nobody knows
    far = other(backbone={"path": "meta-llama/Llama-2-70b-hf"})
    assert mm("model", "list", far, "--memory", "1kB").output == ""
    assert mm("model", "list", "--modality", "points").output == ""


def test_a_chat_model_is_listed_with_what_its_file_says(mm: Command, folder: Path, tmp_path: Path) -> None:
    said = "name: talker\nsees: [image]\nchat: {model: gpt-4o-mini, provider: openai}\n"
    (tmp_path / "model.yaml").write_text(said)
    found = mm("model", "list", tmp_path, folder)
    assert found.exit_code == OK
    names = {line.split("\t")[0]: line.split("\t")[1] for line in found.output.splitlines()}
    assert names == {"pocket": "-", "talker": "image", "seer": "-"}


def test_a_size_that_is_none_and_a_model_that_is_none_are_refused(mm: Command, tmp_path: Path) -> None:
    assert mm("model", "list", "--memory", "big").exit_code == USAGE
    assert mm("model", "show", "poket").exit_code == USAGE
    (tmp_path / "model.yaml").write_text("name: talker\nchat: {model: gpt-4o-mini, provider: openai}\n")
    assert mm("model", "show", tmp_path).exit_code == FAILED
