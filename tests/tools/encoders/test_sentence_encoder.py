"""Sentence encoders in the layout of sentence-transformers: what their modules say is what is done."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mmagent import Text
from mmagent.errors import ModelError
from tests.tools.encoders.checkpoints import Folders, card_of, loaded
from tests.tools.encoders.families import (
    tf,
    torch,
)

if TYPE_CHECKING:
    from tests.tools.conftest import Listener

TOOL = "text-encoder.v1"


TEXT = "a small text"


@pytest.fixture(scope="module")
def bert(folders: Folders) -> Path:
    return folders("bert")


def direct(folder: Path) -> Any:
    """What a user of the library gets from the same folder."""
    inputs = tf.AutoTokenizer.from_pretrained(folder)(TEXT, return_tensors="pt")
    with torch.no_grad():
        return tf.AutoModel.from_pretrained(folder).eval()(**inputs)


def sentences(folder: Path, target: Path, pooling: Mapping[str, object], *more: str, dense: int = 0) -> Path:
    """A BERT as a sentence encoder in the layout of sentence-transformers."""
    shutil.copytree(folder, target)
    kinds = ["Transformer", "Pooling", *more]
    paths = ["" if kind == "Transformer" else f"{index}_{kind}" for index, kind in enumerate(kinds)]
    listed = [
        {"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for index, (kind, path) in enumerate(zip(kinds, paths))
    ]
    (target / "modules.json").write_text(json.dumps(listed))
    for path in paths[1:]:
        (target / path).mkdir()
    (target / "1_Pooling/config.json").write_text(json.dumps({"word_embedding_dimension": 16, **pooling}))
    if dense:
        from safetensors.torch import save_file

        fields = {"in_features": 16, "out_features": dense, "activation_function": "torch.nn.modules.activation.Tanh"}
        (target / "2_Dense/config.json").write_text(json.dumps(fields))
        torch.manual_seed(1)
        layer = {"linear.weight": torch.randn(dense, 16), "linear.bias": torch.randn(dense)}
        save_file(layer, target / "2_Dense/model.safetensors")
    return target


POOLINGS: Mapping[str, Callable[[Any], Any]] = {
    "mean_tokens": lambda states: states.mean(0),
    "cls_token": lambda states: states[0],
    "max_tokens": lambda states: states.max(0),
    "lasttoken": lambda states: states[-1],
    "mean_sqrt_len_tokens": lambda states: states.sum(0) / np.sqrt(len(states)),
}


@pytest.mark.parametrize("mode", POOLINGS)
def test_a_sentence_encoder_pools_as_its_modules_say(bert: Path, tmp_path: Path, ctx: Listener, mode: str) -> None:
    folder = sentences(bert, tmp_path / "encoder", {f"pooling_mode_{name}": name == mode for name in POOLINGS})
    states = direct(folder).last_hidden_state[0].numpy()
    made = loaded(TOOL, model=str(folder), output="pooled").run(Text(TEXT), ctx).array[0]
    np.testing.assert_allclose(made, POOLINGS[mode](states), atol=1e-5)


def test_layers_behind_the_pooling_and_unit_length_are_followed(bert: Path, tmp_path: Path, ctx: Listener) -> None:
    from safetensors.torch import load_file, save_file

    mean = {"pooling_mode_mean_tokens": True}
    folder = sentences(bert, tmp_path / "encoder", mean, "Dense", "Normalize", dense=5)
    states = direct(folder).last_hidden_state[0].numpy()
    saved = {name: item.half() for name, item in load_file(folder / "2_Dense/model.safetensors").items()}
    save_file(saved, folder / "2_Dense/model.safetensors")  # as many are saved; it is computed in float32
    layer = {name: item.float().numpy() for name, item in saved.items()}
    expected = np.tanh(layer["linear.weight"] @ states.mean(0) + layer["linear.bias"])
    made = loaded(TOOL, model=str(folder), output="pooled").run(Text(TEXT), ctx).array[0]
    np.testing.assert_allclose(made, expected / np.linalg.norm(expected), atol=1e-5)
    assert card_of(TOOL, model=str(folder), output="pooled").outputs[0].constraints["width"] == 5
    assert card_of(TOOL, model=str(folder), output="pooled", pooling="cls").outputs[0].constraints["width"] == 16
    first = loaded(TOOL, model=str(folder), output="pooled", pooling="cls").run(Text(TEXT), ctx).array[0]
    np.testing.assert_allclose(first, states[0], atol=1e-6)


def test_a_models_own_pooler_is_used_when_asked_for(bert: Path, tmp_path: Path, ctx: Listener) -> None:
    made = loaded(TOOL, model=str(bert), output="pooled", pooling="model").run(Text(TEXT), ctx)
    np.testing.assert_allclose(made.array, direct(bert).pooler_output.numpy(), atol=1e-6)
    bare = Path(shutil.copytree(bert, tmp_path / "bare"))
    tf.BertForMaskedLM.from_pretrained(bare).save_pretrained(bare)  # without the pooler
    assert loaded(TOOL, model=str(bare)).run(Text(TEXT), ctx).array.shape == (12, 16)
    with pytest.raises(ModelError, match=r"lacks 2 of its parameters, pooler\.dense"):
        loaded(TOOL, model=str(bare), output="pooled", pooling="model")


def test_modules_that_are_not_known_are_refused(bert: Path, tmp_path: Path) -> None:
    mean = {"pooling_mode_mean_tokens": True}
    strange = sentences(bert, tmp_path / "strange", mean, "WeightedLayerPooling")
    with pytest.raises(ModelError, match="chains Transformer, Pooling, WeightedLayerPooling"):
        card_of(TOOL, model=str(strange))
    both = sentences(bert, tmp_path / "both", {**mean, "pooling_mode_cls_token": True})
    with pytest.raises(ModelError, match=r"pools by mean_tokens and cls_token.*set pooling to another than auto"):
        card_of(TOOL, model=str(both), output="pooled")
    for fits in ({}, {"output": "pooled", "pooling": "mean"}):
        assert card_of(TOOL, model=str(both), **fits).outputs[0].constraints["width"] == 16
    blind = sentences(bert, tmp_path / "blind", mean, "Dense")
    (blind / "2_Dense/config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"2_Dense/config\.json names no out_features"):
        card_of(TOOL, model=str(blind))
    outside = sentences(bert, tmp_path / "outside", mean)
    listed = json.loads((outside / "modules.json").read_text())
    listed[1]["path"] = "../strange/1_Pooling"
    (outside / "modules.json").write_text(json.dumps(listed))
    with pytest.raises(ModelError, match="folders outside of itself"):
        card_of(TOOL, model=str(outside))


def test_case_and_prompts_are_taken_as_the_encoder_takes_them(bert: Path, tmp_path: Path, ctx: Listener) -> None:
    mean = {"pooling_mode_mean_tokens": True, "include_prompt": False}
    folder = sentences(bert, tmp_path / "encoder", mean)
    fields = {"max_seq_length": 9, "do_lower_case": True}
    (folder / "sentence_bert_config.json").write_text(json.dumps(fields))
    tool = loaded(TOOL, model=str(folder))
    assert tool.run(Text("LOUD AND LONG"), ctx) == tool.run(Text("loud and long"), ctx)
    assert len(tool.run(Text("loud and long"), ctx).array) == 9
    with pytest.raises(ModelError, match="leaves its prompt out of the pooling"):
        card_of(TOOL, model=str(folder), output="pooled", prompt="query: ")


@pytest.mark.weights
def test_alike_sentences_are_nearer_than_unlike_ones(ctx: Listener) -> None:
    from mmagent.fetch import fetch

    tool = loaded(TOOL, model=str(fetch("all-minilm-l6-v2")), output="pooled")
    pairs = [
        ("A man is eating food.", "Someone has a meal."),
        ("The girl plays the violin.", "A young woman makes music."),
        ("It is raining heavily outside.", "The weather is very wet today."),
        ("The stock market fell sharply.", "Share prices dropped a lot."),
    ]
    left, right = (np.stack([tool.run(Text(pair[side]), ctx).array[0] for pair in pairs]) for side in (0, 1))
    near = left @ right.T
    np.testing.assert_allclose(np.linalg.norm(left, axis=1), 1, atol=1e-5)
    assert left.shape == (4, 384)
    others = near[~np.eye(len(pairs), dtype=bool)]
    assert np.diag(near).min() > others.max() + 0.1
    assert tool.space.startswith("all-minilm-l6-v2")
