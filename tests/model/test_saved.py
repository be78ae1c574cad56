"""A model's folder: what was trained and nothing else, and on what it was trained."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from mmagent import Constraint, Embedding, Image, tool
from mmagent.card import Port
from mmagent.errors import ModelError
from mmagent.model import saved
from mmagent.model.parts import Parts
from mmagent.model.spec import ModelSpec, read_spec, write_spec
from mmagent.registry import registry

Make = Callable[..., Any]
FEATURES = {"image": Port("states", "embedding", constraints={"width": 6, "space": "eye.grid"})}
CONDITIONS = {"image": Port("embeds", "embedding", constraints={"tokens": 5, "width": 10, "space": "brush.text"})}
ALL = ["inputs.image", "lora", "outputs.image", "signals.image", "signals.speech"]


def full(spec_of: Make, **changes: Any) -> ModelSpec:
    spec = spec_of().model_dump(mode="json")
    spec["inputs"] = {"image": {"encoder": "eye", "projector": {"kind": "mlp"}}}
    spec["outputs"]["image"] |= {
        "projector": {"kind": "query-transformer", "queries": 5, "dim": 8, "layers": 1, "heads": 2},
        "generator": {"tool": "brush", "settings": {"steps": 2}},
    }
    spec["lora"] = {"rank": 2, "targets": ["q_proj"]}
    return ModelSpec.model_validate(spec | changes)


@pytest.fixture
def parts(backbone_of: Make, spec_of: Make) -> Parts:
    """Parts of which everything has moved away from where it started."""
    own = Parts.build(full(spec_of), backbone_of(), features=FEATURES, conditions=CONDITIONS)
    with torch.no_grad():
        for value in own.parameters():
            value.add_(torch.randn_like(value))
    return own


def same(one: Parts, other: Parts, names: list[str]) -> bool:
    pairs = [pair for name in names for pair in zip(one.part(name), other.part(name), strict=True)]
    return all(torch.equal(left, right) for left, right in pairs)


@settings(max_examples=15, deadline=None)
@given(trained=st.sets(st.sampled_from(ALL)))
def test_what_was_trained_comes_back_and_the_rest_starts_anew(
    backbone_of: Make, spec_of: Make, tmp_path_factory: pytest.TempPathFactory, trained: set[str]
) -> None:
    folder = tmp_path_factory.mktemp("model")
    own = Parts.build(full(spec_of), backbone_of(), features=FEATURES, conditions=CONDITIONS)
    with torch.no_grad():
        for value in own.parameters():
            value.add_(1.0)
    own.trained |= trained
    saved.save(own, folder)
    again = saved.load(folder, backbone_of())
    assert again.spec == own.spec and again.trained == trained
    assert same(own, again, sorted(trained))
    assert not any(same(own, again, [name]) for name in ALL if name not in trained)
    kept = {id(value) for name in trained for value in own.part(name)}
    with safe_open(folder / saved.NAME, "pt") as file:
        assert sorted(file.keys()) == sorted(name for name, value in own.named_parameters() if id(value) in kept)


def test_rows_trained_on_one_side_are_kept_on_both(parts: Parts, backbone_of: Make, tmp_path: Path) -> None:
    parts.trained |= {"signals.out"}
    again = saved.load(saved.save(parts, tmp_path), backbone_of())
    assert same(parts, again, ["signals"]) and again.asks == ("image", "speech")


def test_a_file_tells_what_its_parts_were_trained_against(parts: Parts, tmp_path: Path) -> None:
    parts.trained |= {"inputs.image", "signals"}
    parts.parent = "f" * 64
    saved.save(parts, tmp_path)
    told = saved.told(tmp_path)
    start = parts.backbone.n_vocab
    assert told.trained == ("inputs.image", "signals")
    assert told.tokens == {"image": (start, 3), "speech": (start + 4, 2)}
    assert told.ports["inputs.image"].constraints == FEATURES["image"].constraints
    assert (told.backbone, told.parent) == (saved.backbone_digest(parts.backbone), "f" * 64)


def test_the_digest_of_a_model_is_that_of_what_it_is(parts: Parts, tmp_path: Path) -> None:
    parts.trained |= {"inputs.image"}
    digests = {saved.digest(saved.save(parts, tmp_path / str(number))) for number in range(6)}
    assert len(digests) == 1
    next(iter(parts.part("inputs.image"))).data[0] += 1
    assert saved.digest(saved.save(parts, tmp_path / "other")) not in digests


def test_the_digest_of_a_backbone_is_that_of_its_weights_alone(backbone_of: Make, parts: Parts) -> None:
    bare = backbone_of()
    assert saved.backbone_digest(parts.backbone) == saved.backbone_digest(bare)  # one of them holds LoRA
    before = saved.backbone_digest(bare)
    bare.model.lm_head.weight.data[0, 0] += 1e-3
    assert saved.backbone_digest(bare) != before


def test_parts_trained_on_other_base_weights_are_refused_with_both_digests(
    parts: Parts, backbone_of: Make, tmp_path: Path
) -> None:
    parts.trained |= {"signals"}
    saved.save(parts, tmp_path)
    other = backbone_of()
    other.model.lm_head.weight.data[0, 0] += 1e-3
    with pytest.raises(ModelError) as caught:
        saved.load(tmp_path, other)
    assert saved.backbone_digest(parts.backbone) in str(caught.value)
    assert saved.backbone_digest(other) in str(caught.value)


def test_a_folder_of_which_nothing_was_trained_loads_on_any_backbone(
    parts: Parts, backbone_of: Make, tmp_path: Path
) -> None:
    saved.save(parts, tmp_path)
    other = backbone_of()
    other.model.lm_head.weight.data[0, 0] += 1e-3
    assert saved.load(tmp_path, other).trained == set()


def test_half_precision_halves_the_file(parts: Parts, backbone_of: Make, tmp_path: Path) -> None:
    parts.trained |= set(ALL)
    wide = saved.save(parts, tmp_path / "wide") / saved.NAME
    narrow = saved.save(parts, tmp_path / "narrow", dtype="float16") / saved.NAME
    assert narrow.stat().st_size < 0.6 * wide.stat().st_size
    again = saved.load(tmp_path / "narrow", backbone_of())
    for one, other in zip(parts.part("inputs.image"), again.part("inputs.image")):
        torch.testing.assert_close(one, other, rtol=1e-2, atol=1e-2)


def test_a_file_that_does_not_fit_its_spec_is_refused_with_every_tensor(
    parts: Parts, backbone_of: Make, spec_of: Make, tmp_path: Path
) -> None:
    parts.trained |= {"inputs.image", "signals.image"}
    path = saved.save(parts, tmp_path) / saved.NAME
    write_spec(full(spec_of, inputs={"image": {"encoder": "eye", "projector": {"kind": "mlp", "layers": 3}}}), tmp_path / "model.yaml")  # fmt: skip
    with pytest.raises(ModelError, match=r"does not fit .*\n  inputs\.image\.map\.4\.bias is missing"):
        saved.load(tmp_path, backbone_of())
    write_spec(parts.spec, tmp_path / "model.yaml")
    tensors = load_file(path)
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    tensors["rows.of_into.image"] = torch.zeros(2, 2)
    tensors["more"] = torch.zeros(1)
    save_file(tensors, path, metadata=metadata)
    with pytest.raises(ModelError, match=r"more belongs to no part\n  rows\.of_into\.image is \[2, 2\]"):
        saved.load(tmp_path, backbone_of())


def test_files_of_other_kinds_are_refused(parts: Parts, tmp_path: Path) -> None:
    saved.save(parts, tmp_path)
    save_file({}, tmp_path / saved.NAME, metadata={"format": "mmagent-parts-9"})
    with pytest.raises(ModelError, match="mmagent-parts-9"):
        saved.told(tmp_path)
    (tmp_path / saved.NAME).write_bytes(b"\x80\x04K\x01.")
    with pytest.raises(ModelError, match="no safetensors file"):
        saved.told(tmp_path)


def test_a_save_that_fails_leaves_the_old_folder(
    parts: Parts, backbone_of: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts.trained |= {"inputs.image"}
    saved.save(parts, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full_disk(number: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OSError, match="no space left"):
        saved.save(parts, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_an_unknown_part_cannot_have_been_trained(parts: Parts, tmp_path: Path) -> None:
    parts.trained |= {"inputs.smell"}
    with pytest.raises(ModelError, match=r"has no part 'inputs\.smell'"):
        saved.save(parts, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_spec_is_read_as_it_was_written(spec_of: Make, tmp_path: Path) -> None:
    for spec in (spec_of(), full(spec_of), read_spec(Path(saved.__file__).parent / "zoo" / "pocket")):
        write_spec(spec, tmp_path / "model.yaml")
        assert read_spec(tmp_path) == spec


def test_paths_that_begin_with_a_dot_lie_beside_the_file(tmp_path: Path) -> None:
    said = {
        "name": "small",
        "backbone": {"path": "./llm"},
        "inputs": {
            "image": {"encoder": {"tool": "eye", "settings": {"model": "../eye"}}, "projector": {"kind": "mlp"}}
        },
        "outputs": {
            "image": {"k": 1, "generator": {"tool": "b", "settings": {"model": "o/n"}}, "projector": {"kind": "mlp"}}
        },
    }
    (tmp_path / "model.yaml").write_text(json.dumps(said))
    spec = read_spec(tmp_path)
    assert spec.backbone.path == str(tmp_path / "llm")
    assert spec.inputs["image"].encoder is not None and spec.outputs["image"].generator is not None
    assert spec.inputs["image"].encoder.settings == {"model": str(tmp_path.parent / "eye")}
    assert spec.outputs["image"].generator.settings == {"model": "o/n"}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"inputs": {"image": {"encoder": "eye"}}}, "an encoder and its projector are named together"),
        ({"outputs": {"image": {"k": 1, "generator": "brush"}}}, "a generator and its projector"),
        ({"outputs": {"image": {"k": 1, "requests": {"called": "x", "examples": ["y"]}}}}, "give them as `opening`"),
        ({"inputs": {"image": {"encoder": "eye", "projector": {"kind": "query-transformer"}}}}, "query-transformer"),
        ({"lora": {"targets": []}}, "lora.targets"),
    ],
)
def test_parts_that_cannot_be_are_refused_with_the_file(change: dict[str, Any], told: str, tmp_path: Path) -> None:
    (tmp_path / "model.yaml").write_text(json.dumps({"name": "small", "backbone": {"path": "x"}} | change))
    with pytest.raises(ModelError, match=told):
        read_spec(tmp_path)


@pytest.mark.parametrize("content", [b"name: [", b"name: caf\xe9"])
def test_a_file_that_is_no_yaml_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.yaml").write_bytes(content)
    with pytest.raises(ModelError, match=r"model\.yaml is not YAML"):
        read_spec(tmp_path)


def test_what_lies_beside_a_folder_is_written_from_there(spec_of: Make, tmp_path: Path) -> None:
    places = {"backbone": {"path": "./llm"}}
    eye = {"tool": "eye", "settings": {"model": "../eye", "other": "o/n"}}
    inputs = {"image": {"encoder": eye, "projector": {"kind": "mlp"}}}
    home = tmp_path / "painter"
    home.mkdir()
    (home / "model.yaml").write_text(json.dumps({"name": "small", **places, "inputs": inputs}))
    spec = read_spec(home)
    write_spec(spec, home / "model.yaml")
    assert str(tmp_path) not in (home / "model.yaml").read_text() and read_spec(home) == spec
    moved = home.rename(tmp_path / "moved")
    assert read_spec(moved).backbone.path == str(moved / "llm")
    (tmp_path / "copy").mkdir()
    write_spec(spec, tmp_path / "copy" / "model.yaml")
    assert read_spec(tmp_path / "copy") == spec


@pytest.fixture
def _eye(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Have the encoder here, with these weights; as at the start, it is not."""
    monkeypatch.setattr(registry, "_added", dict(registry.added))

    def put(weights: str) -> None:
        @tool(name="eye", kind="encoder", weights=weights)
        def eye(image: Image) -> Annotated[Embedding, Constraint(width=6, space="eye.grid")]:
            """Look."""
            return Embedding([[0.0] * 6], "eye.grid")

        registry.add(eye)

    return put


def test_weights_that_nobody_has_here_are_not_forgotten_when_a_model_is_saved_again(
    parts: Parts, backbone_of: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, _eye: Callable[[str], None]
) -> None:
    before = dict(registry.added)
    _eye("a" * 64)
    parts.trained |= {"inputs.image"}
    saved.save(parts, tmp_path)
    monkeypatch.setattr(registry, "_added", before)
    saved.save(saved.load(tmp_path, backbone_of()), tmp_path)
    assert saved.told(tmp_path).digests == {"inputs.image": "a" * 64}
    _eye("b" * 64)
    with pytest.raises(ModelError, match=f"inputs.image was trained with weights {'a' * 64}"):
        saved.load(tmp_path, backbone_of())


def test_what_has_not_been_trained_is_made_for_the_tools_of_today(
    parts: Parts, backbone_of: Make, tmp_path: Path
) -> None:
    wider = {"image": Port("states", "embedding", constraints={"width": 9, "space": "eye.grid"})}
    saved.save(parts, tmp_path)
    assert saved.load(tmp_path, backbone_of(), features=wider).features == wider
    parts.trained |= {"inputs.image"}
    saved.save(parts, tmp_path)
    assert saved.load(tmp_path, backbone_of(), features=wider).features["image"].constraints["width"] == 6


def test_trained_rows_stand_at_the_ids_that_they_were_trained_at(
    parts: Parts, backbone_of: Make, tmp_path: Path
) -> None:
    parts.trained |= {"signals.speech"}
    saved.save(parts, tmp_path)
    turned = dict(reversed(parts.spec.outputs.items()))
    write_spec(parts.spec.model_copy(update={"outputs": turned}), tmp_path / "model.yaml")
    with pytest.raises(
        ModelError, match=r"signals\.speech was trained as 2 signals behind the id \d+, and model\.yaml"
    ):
        saved.load(tmp_path, backbone_of())
