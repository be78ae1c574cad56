"""Weights are loaded whole or not at all, and no code comes with them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from mmagent.errors import ModelError
from mmagent.model.backbones.weights import load

Make = Callable[..., Any]


@pytest.fixture
def folder(backbone_of: Make, tokenizer_of: Make, tmp_path: Path) -> Path:
    """A checkpoint of a small LLM."""
    backbone_of().model.save_pretrained(tmp_path / "llm")
    tokenizer_of().save_pretrained(tmp_path / "llm")
    return tmp_path / "llm"


@pytest.mark.parametrize("auto", ["AutoConfig", "AutoTokenizer"])
def test_code_in_a_folder_is_neither_run_nor_asked_about(
    folder: Path, auto: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def answer(*words: object) -> str:
        asked.append(words)
        return "y"

    monkeypatch.setattr("builtins.input", answer)
    (folder / "evil.py").write_text(f"open({str(folder / 'ran')!r}, 'w')\n")
    path = folder / ("tokenizer_config.json" if auto == "AutoTokenizer" else "config.json")
    said = json.loads(path.read_text()) | {"auto_map": {auto: ["evil.It", None] if "Tok" in auto else "evil.It"}}
    if auto == "AutoConfig":
        said["model_type"] = "evil"
    if auto == "AutoTokenizer":
        said["tokenizer_class"] = "It"
    path.write_text(json.dumps(said))
    try:
        load(folder)
    except ModelError:
        pass  # a model of no known kind cannot be had; one of a known kind loads as what the library knows
    assert not asked and not (folder / "ran").exists()


def test_parameters_that_are_missing_are_named_and_not_drawn(folder: Path) -> None:
    path = folder / "model.safetensors"
    tensors = load_file(path)
    for name in ("model.layers.0.mlp.up_proj.weight", "model.norm.weight"):
        del tensors[name]
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"no whole .*: .* 2 parameters are not there, model\.layers\.0\.mlp\.up_proj"):
        load(folder)


def test_a_parameter_of_another_shape_is_refused(folder: Path) -> None:
    path = folder / "model.safetensors"
    save_file(load_file(path) | {"model.norm.weight": torch.ones(7)}, path, metadata={"format": "pt"})
    with pytest.raises(ModelError, match="llm cannot be loaded as a causal language model"):
        load(folder)


def test_a_torn_file_is_refused_as_an_error_of_ours(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ModelError, match="llm cannot be loaded as a causal language model"):
        load(folder)


def test_what_the_library_says_without_words_is_told_by_its_kind(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError

    monkeypatch.setattr("transformers.AutoTokenizer.from_pretrained", fail)
    with pytest.raises(ModelError, match="cannot be loaded as a causal language model: OSError"):
        load(folder)
