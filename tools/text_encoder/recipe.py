"""What a checkpoint says of its text encoder before it is loaded, in the layouts of transformers and sentence-transformers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mmagent.checkpoint import config, layers_size, locate
from mmagent.errors import ModelError, Offline

WIDTHS = {"clip": 512, "clap": 768, "siglip": 768, "siglip2": 768}
"""The widths of text towers where the config leaves them out, as the library has them."""


VOCABULARIES = (
    "tokenizer_config.json", "tokenizer.json", "tokenizer.model", "vocab.txt", "vocab.json", "spiece.model",
    "sentencepiece.bpe.model",
)  # fmt: skip
"""The files of which a tokenizer has at least one."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a checkpoint says of itself: type, layers, the width of its states, and how it makes a vector of them.

    `usual` and `longest` are the tokens of the longest text, as it was trained and as it could take. `pooled_width`
    is that of the vector where layers follow the pooling (`dense`), `joint` that of the space shared with another
    encoder. `problem` is what this tool cannot pool as the checkpoint does. `lower`: text is put in lower case first.
    `prompt_pooled`: a prompt's states count as the text's do. `size` counts the numbers in the layers,
    `n_numbers` those of the vocabulary too. `folder` holds the model where it is not the checkpoint's own.
    """

    kind: str
    width: int | None
    n_layers: int | None
    usual: int | None
    longest: int | None
    size: int = 0
    n_numbers: int = 0
    pooling: str = "mean"
    problem: str = ""
    pooled_width: int | None = None
    joint: int | None = None
    unit: bool = False
    lower: bool = False
    prompt_pooled: bool = True
    folder: str = ""
    dense: tuple[str, ...] = ()


def recipe_of(model: str, revision: str, tokenizer: str | None) -> Recipe | None:
    """The recipe of a checkpoint, read from its configs."""

    def read(name: str) -> dict[str, Any]:
        return config(model, name, revision=revision, optional=True) or {}

    modules = _modules(model, revision)
    folder = modules[0][1] if modules else ""
    place = f"{folder}/" if folder else ""
    own = read(f"{place}config.json")
    if not own:
        return None
    if "text_config" not in own and "sampling_rate" in (
        read("preprocessor_config.json") or read("processor_config.json").get("feature_extractor") or {}
    ):
        raise ModelError(f"{model} hears sound; use audio-encoder")
    _check_words(tokenizer or model, "" if tokenizer else revision, "" if tokenizer else folder)
    kind = str(own.get("model_type", ""))
    part = {**own, **(own.get("text_config") or {})}
    width = _first(part, "d_model", "dim", "hidden_size", "n_embd") or WIDTHS.get(kind)
    words = (
        config(tokenizer, "tokenizer_config.json", optional=True)
        if tokenizer
        else read(f"{place}tokenizer_config.json")
    )
    sentence = read(f"{place}sentence_bert_config.json")
    usual = sentence.get("max_seq_length") or (words or {}).get("model_max_length")
    longest = _first(part, "max_position_embeddings")
    if longest and ("roberta" in kind or kind in ("camembert", "mpnet")):
        longest -= int(part.get("pad_token_id", 1)) + 1  # they count places from behind the padding id
    usual = int(usual) if usual and usual < 1e9 else None  # where there is none, tokenizers write 1e30
    usual = min(usual, longest) if usual and longest else usual
    n_layers = _first(part, "encoder_layers", "num_layers", "n_layers", "num_hidden_layers")
    size = layers_size(width, n_layers)
    n_numbers = size + (width or 0) * int(part.get("vocab_size", 0))
    lower = bool(sentence.get("do_lower_case"))
    found = Recipe(kind, width, n_layers, usual, longest, size, n_numbers, lower=lower, folder=folder)
    if kind.startswith("siglip"):
        found = replace(found, joint=part.get("projection_size") or width, pooling="model")
    elif kind.startswith(("clip", "clap")):
        bare = kind == "clip_text_model" and own.get("architectures") == ["CLIPTextModel"]
        found = replace(found, joint=None if bare else own.get("projection_dim", 512), pooling="model")
    for name, path in modules[1:]:
        fields = read(f"{path}/config.json")
        if name == "Pooling":
            counted = fields.get("include_prompt", True) is not False
            how, problem = _pooling(fields)
            found = replace(found, pooling=how, problem=problem, prompt_pooled=counted)
        elif name == "Dense":
            if not isinstance(fields.get("out_features"), int):
                raise ModelError(f"{model}: {path}/config.json names no out_features; download or save the model again")
            found = replace(found, dense=(*found.dense, path), pooled_width=fields["out_features"])
        else:
            found = replace(found, unit=True)
    return found


def _check_words(model: str, revision: str, folder: str) -> None:
    """ModelError where a checkpoint that is here has no tokenizer."""
    try:
        place = locate(model, revision=revision, download=False)
    except Offline:
        return
    if place.is_dir() and not any((place / folder / name).is_file() for name in VOCABULARIES):
        raise ModelError(f"{model} holds no tokenizer; save it beside the model, or set tokenizer to where it lies")


def _first(fields: Mapping[str, Any], *names: str) -> int | None:
    return next((int(fields[name]) for name in names if fields.get(name)), None)


def _modules(model: str, revision: str) -> list[tuple[str, str]]:
    """The parts that sentence-transformers would chain, by kind and folder; ModelError if one is beyond this tool.

    `[{"type": "sentence_transformers.models.Pooling", "path": "1_Pooling", …}]` gives `[("Pooling", "1_Pooling")]`.
    """
    found = [(item["type"].rsplit(".", 1)[-1], item["path"]) for item in _listed(model, revision)]
    kinds = [kind for kind, _ in found]
    order = ["Transformer", "Pooling", *["Dense"] * kinds.count("Dense"), *["Normalize"] * kinds.count("Normalize")]
    if any(path and Path(path).name != path for _, path in found):
        raise ModelError(f"{model} names folders outside of itself in its modules.json; do not use it")
    if found and kinds != order:
        raise ModelError(
            f"{model} chains {', '.join(kinds)} in its modules.json; this tool takes Transformer, Pooling, then Dense "
            "and Normalize"
        )
    return found


def _listed(model: str, revision: str) -> list[dict[str, Any]]:
    """The entries of `modules.json`, none if the checkpoint has no such file or is not here."""
    try:
        file = locate(model, revision=revision, download=False) / "modules.json"
    except Offline:
        return []
    try:
        found = json.loads(file.read_text("utf-8")) if file.is_file() else []
        return [{"type": str(item["type"]), "path": str(item["path"])} for item in found]
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{file} is no list of modules: {error}; download or save the model again") from None


def _pooling(fields: Mapping[str, Any]) -> tuple[str, str]:
    """The key of POOLINGS that a Pooling module's config asks for, and what is wrong with it.

    `{"pooling_mode_mean_tokens": true, "pooling_mode_cls_token": false}` gives `("mean", "")`.
    """
    names = {"mean": "mean", "cls": "cls", "max": "max", "lasttoken": "last", "mean_sqrt_len": "sqrt"}
    asked = [
        name.removeprefix("pooling_mode_") for name, on in fields.items() if name.startswith("pooling_mode_") and on
    ]
    asked = [str(fields["pooling_mode"])] if "pooling_mode" in fields else asked
    short = [name.removesuffix("_tokens").removesuffix("_token") for name in asked]
    if len(short) != 1 or short[0] not in names:
        return "", f"pools by {' and '.join(asked) or 'nothing'}; this tool knows {', '.join(names)}, one at a time"
    return names[short[0]], ""
