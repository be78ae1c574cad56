"""Text encoders of transformers as one tool: sentence encoders, BERT and its kin, T5, the text towers of CLIP.

Sentence encoders say in `modules.json`, the layout of sentence-transformers, how they pool; that is followed.
Shapes: L tokens, states of width D.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

from mmagent import Card, Context, Embedding, Text, Tool
from mmagent.checkpoint import config, digest, load_part, load_pretrained, load_tensors, locate, slug
from mmagent.errors import MediaError, ModelError, Offline

Scalar = str | int | float | bool | None

TOWERS = {
    "clip": "CLIPTextModel",
    "clip_text_model": "CLIPTextModel",
    "clap": "ClapTextModelWithProjection",  # the one class that finds its weights within the whole model's
    "siglip": "SiglipTextModel",
    "siglip2": "Siglip2TextModel",
    "t5": "T5EncoderModel",
    "mt5": "MT5EncoderModel",
    "umt5": "UMT5EncoderModel",
}
"""Models of which the text encoder is a part, by the type in their config; the others load as AutoModel."""

UNMASKED = ("clip", "siglip")
"""How the types begin that were trained, and are used by pipelines, without a mask over the padding."""

WIDTHS = {"clip": 512, "clap": 768, "siglip": 768, "siglip2": 768}
"""The widths of text towers where the config leaves them out, as the library has them."""


class TextEncoder(Tool, name="text-encoder.v1", kind="encoder", cost=0.1, memory=500_000_000, needs=("extra:local",)):
    """Encode text with a checkpoint of transformers; no text ever becomes one of the model's control tokens.

    `model` is a folder or a hub id, `tokenizer` another one if the tokenizer lies elsewhere. `output`: `tokens`, a
    state each; `pooled`, one vector; `projected`, the vector in the space that the model shares with its image or
    audio encoder (CLIP, SigLIP, CLAP). `pooling` of `pooled`: `auto` is what the checkpoint's own modules say, else
    the mean; `mean`, `max`, `cls` (the first state), `last`; `model`, its own pooler. `layer`: -1 the result, -2
    what enters the last layer. Text of more than `length` tokens, the model's own limit if not given, is cut, and
    progress says so; `padded` fills shorter text up with states that the mask leaves out. `prompt` is put before
    the text. `space` names the space of the states; `pickle` allows weights that have to be unpickled.
    """

    def __init__(
        self,
        model: str,
        output: Literal["tokens", "pooled", "projected"] = "tokens",
        pooling: Literal["auto", "mean", "cls", "max", "last", "model"] = "auto",
        layer: int = -1,
        length: int | None = None,
        padded: bool = False,
        prompt: str = "",
        tokenizer: str | None = None,
        space: str = "",
        pickle: bool = False,
        revision: str = "",
    ) -> None:
        self.model, self.revision, self.pickle, self.tokenizer = model, revision, pickle, tokenizer
        self.output, self.pooling, self.layer, self.length = output, pooling, layer, length
        self.padded, self.prompt = padded, prompt
        own = output if output != "pooled" else "text.pooled"  # a model may pool pictures too, into another space
        self.space = space or f"{slug(model)}.{own}{'' if layer == -1 else layer}"

    @classmethod
    def card_for(cls, settings: Mapping[str, Scalar]) -> Card:
        asked = cast("TextEncoder", cls.make(settings))
        made: dict[str, Scalar] = {"space": asked.space}
        memory = 0
        recipe = asked._recipe()
        if recipe is not None:
            whole = asked.output == "pooled" and asked.pooling == "auto" and recipe.pooled_width
            made["width"] = recipe.joint if asked.output == "projected" else whole or recipe.width
            made["tokens"] = asked._limit(recipe) if asked._fills(recipe) else None
            memory = recipe.memory
        if asked.output != "tokens":
            made["tokens"] = 1
        (states,) = cls.card.outputs
        told = {name: value for name, value in made.items() if value is not None}
        weights = digest(asked.model, revision=asked.revision)
        return replace(
            cls.card,
            outputs=(replace(states, constraints=told),),
            weights=weights,
            cacheable=bool(weights),  # a hub id that is not here yet may turn out to be anything
            memory=memory or cls.card.memory,
        )

    def load(self) -> None:
        place = locate(self.model, revision=self.revision)
        recipe = self._recipe()
        if recipe is None:
            raise ModelError(f"{self.model} holds no config.json; name a model that save_pretrained wrote")
        folder: dict[str, Any] = {"subfolder": recipe.folder} if recipe.folder else {}
        # CLIP's config tells the width of the shared space twice, and the outer one is true.
        joint: dict[str, Any] = (
            {"projection_dim": recipe.joint} if self.output == "projected" and recipe.kind == "clip" else {}
        )
        unneeded = () if self.pooling == "model" else ("pooler",)  # which many checkpoints leave out
        self._encode = load_pretrained(
            _class(recipe.kind, self.output), self.model, pickle=self.pickle, revision=self.revision,
            optional=unneeded, **folder, **joint,
        )  # fmt: skip
        if recipe.kind == "clap" and self.output != "projected":
            self._encode = self._encode.text_model
        self._words = (
            _Words(load_part("AutoTokenizer", self.tokenizer))
            if self.tokenizer
            else _Words(load_part("AutoTokenizer", self.model, revision=self.revision, **folder))
        )
        self._dense = [_dense(place / path, self.pickle) for path in recipe.dense]
        self._loaded = recipe
        limit = self._limit(recipe)
        if limit is not None and limit <= self._words.n_added:
            raise ModelError(f"{self.model} puts {self._words.n_added} tokens around a text; length is more than that")

    def unload(self) -> None:
        del self._encode, self._words, self._dense, self._loaded

    def run(self, text: Text, ctx: Context) -> Embedding:
        import torch

        recipe, limit = self._loaded, self._limit(self._loaded)
        ids, n_cut = self._words.ids(self.prompt + text.text, limit)
        if n_cut:
            ctx.progress(0.0, note=f"text cut to {len(ids)} tokens, {n_cut} left out")
        if not ids:
            raise MediaError(f"{self.card.name}: the text is empty, and {self.model} makes no token of it")
        mask = [True] * len(ids)
        if limit and self._fills(recipe):
            ids, mask = self._words.fill(ids, limit)
        inputs = {"input_ids": torch.tensor([ids])}
        if not recipe.kind.startswith(UNMASKED):
            inputs["attention_mask"] = torch.tensor([mask]).long()
        with torch.inference_mode():
            out = self._encode(**inputs, output_hidden_states=self.layer != -1)
            states = (out.last_hidden_state if self.layer == -1 else out.hidden_states[self.layer])[0]  # [L, D]
            if self.output != "tokens":
                vector = self._pool(out, states[torch.tensor(mask)])
                return Embedding(vector[None].numpy(), self.space)  # [1, D]
        return Embedding(states.numpy(), self.space, mask)

    def _pool(self, out: Any, states: Any) -> Any:
        """The vector `[D]` of a text, from what the model gives out and its states `[L, D]` that count."""
        if self.output == "projected":
            found = getattr(out, "text_embeds", None)
            return (out.pooler_output if found is None else found)[0]
        auto = self.pooling == "auto"
        how = self._loaded.pooling if auto else self.pooling
        if how == "model":
            own = getattr(out, "pooler_output", None)
            if own is None:
                raise ModelError(f"{self.model} has no pooler of its own; set pooling to mean, cls, max or last")
            vector = own[0]
        else:
            vector = POOLINGS[how](states)
        for dense in self._dense if auto else ():
            vector = dense(vector)
        return vector / vector.norm().clamp_min(1e-12) if auto and self._loaded.unit else vector

    def _recipe(self) -> Recipe | None:
        """What the checkpoint says of itself, None while it is not here; ModelError if the settings do not fit it."""
        recipe = _recipe(self.model, self.revision, self.tokenizer)
        if recipe is None:
            return None
        n, layer = recipe.n_layers, self.layer
        if self.output == "projected" and recipe.joint is None:
            raise ModelError(f"{self.model} shares no space with an image or audio encoder; take pooled")
        if layer != -1 and (self.output == "projected" or self.pooling == "model"):
            raise ModelError(f"{self.model} makes its own vector of the last layer; leave layer at -1")
        if n is not None and not -n - 1 <= layer <= n:
            raise ModelError(f"{self.model} has {n} layers; layer is {-n - 1} … {n}, not {layer}")
        if self.length is not None and not 1 <= self.length <= (recipe.longest or self.length):
            raise ModelError(
                f"{self.model} takes 1 … {recipe.longest or 'any number of'} tokens; length is {self.length}"
            )
        if self._fills(recipe) and self._limit(recipe) is None:
            raise ModelError(f"{self.model} names no longest text to fill up to; set length")
        return recipe

    def _limit(self, recipe: Recipe) -> int | None:
        return self.length or recipe.usual or recipe.longest

    def _fills(self, recipe: Recipe) -> bool:
        """Whether text is filled up to the limit: SigLIP knows no other, its vector is the state of the last place."""
        return self.padded or recipe.kind.startswith("siglip")


POOLINGS: Mapping[str, Callable[[Any], Any]] = {
    "mean": lambda states: states.mean(dim=0),
    "sqrt": lambda states: states.sum(dim=0) / len(states) ** 0.5,
    "max": lambda states: states.amax(dim=0),
    "cls": lambda states: states[0],
    "last": lambda states: states[-1],
}
"""One vector `[D]` of the states `[L, D]` that count."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a checkpoint says of itself: type, layers, the width of its states, and how it makes a vector of them.

    `usual` and `longest` are the tokens of the longest text, as it was trained and as it could take. `pooled_width`
    is that of the vector where layers follow the pooling (`dense`), `joint` that of the space shared with another
    encoder. `folder` holds the model where it is not the checkpoint's own.
    """

    kind: str
    width: int | None
    n_layers: int | None
    usual: int | None
    longest: int | None
    memory: int = 0
    pooling: str = "mean"
    pooled_width: int | None = None
    joint: int | None = None
    unit: bool = False
    folder: str = ""
    dense: tuple[str, ...] = ()


def _recipe(model: str, revision: str, tokenizer: str | None) -> Recipe | None:
    """The recipe of a checkpoint, read from its configs."""

    def read(name: str) -> dict[str, Any]:
        return config(model, name, revision=revision, optional=True) or {}

    modules = _modules(model, revision)
    folder = modules[0][1] if modules else ""
    place = f"{folder}/" if folder else ""
    own = read(f"{place}config.json")
    if not own:
        return None
    kind = str(own.get("model_type", ""))
    part = {**own, **(own.get("text_config") or {})}
    width = _first(part, "d_model", "dim", "hidden_size", "n_embd") or WIDTHS.get(kind)
    words = (
        config(tokenizer, "tokenizer_config.json", optional=True)
        if tokenizer
        else read(f"{place}tokenizer_config.json")
    )
    usual = read(f"{place}sentence_bert_config.json").get("max_seq_length") or (words or {}).get("model_max_length")
    longest = _first(part, "max_position_embeddings")
    if longest and ("roberta" in kind or kind in ("camembert", "mpnet")):
        longest -= int(part.get("pad_token_id", 1)) + 1  # they count places from behind the padding id
    usual = int(usual) if usual and usual < 1e9 else None  # where there is none, tokenizers write 1e30
    usual = min(usual, longest) if usual and longest else usual
    n_layers = _first(part, "num_layers", "n_layers", "num_hidden_layers")
    # A layer of a transformer holds 12 D² numbers of 4 bytes, its vocabulary D each.
    memory = 4 * (width or 0) * (12 * (width or 0) * (n_layers or 0) + int(part.get("vocab_size", 0)))
    found = Recipe(kind, width, n_layers, usual, longest, memory, folder=folder)
    if kind.startswith("siglip"):
        found = replace(found, joint=part.get("projection_size") or width, pooling="model")
    elif kind.startswith(("clip", "clap")):
        bare = kind == "clip_text_model" and own.get("architectures") == ["CLIPTextModel"]
        found = replace(found, joint=None if bare else own.get("projection_dim", 512), pooling="model")
    for name, path in modules[1:]:
        fields = read(f"{path}/config.json")
        if name == "Pooling":
            found = replace(found, pooling=_pooling(fields, model))
        elif name == "Dense":
            found = replace(found, dense=(*found.dense, path), pooled_width=int(fields["out_features"]))
        else:
            found = replace(found, unit=True)
    return found


def _class(kind: str, output: str) -> str:
    """The class of transformers that makes the output and loads no more than it has to."""
    tower = TOWERS.get(kind, "AutoModel")
    return f"{tower}WithProjection" if output == "projected" and tower == "CLIPTextModel" else tower


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


def _pooling(fields: Mapping[str, Any], model: str) -> str:
    """The key of POOLINGS that a Pooling module's config asks for.

    `{"pooling_mode_mean_tokens": true, "pooling_mode_cls_token": false}` gives `mean`.
    """
    names = {"mean": "mean", "cls": "cls", "max": "max", "lasttoken": "last", "mean_sqrt_len": "sqrt"}
    asked = [
        name.removeprefix("pooling_mode_") for name, on in fields.items() if name.startswith("pooling_mode_") and on
    ]
    asked = [str(fields["pooling_mode"])] if "pooling_mode" in fields else asked
    short = [name.removesuffix("_tokens").removesuffix("_token") for name in asked]
    if len(short) != 1 or short[0] not in names:
        raise ModelError(
            f"{model} pools by {' and '.join(asked) or 'nothing'}; this tool knows {', '.join(names)}, one at a time: "
            "set pooling to another than auto"
        )
    return names[short[0]]


def _dense(folder: Path, pickle: bool) -> Callable[[Any], Any]:
    """A Dense module: a linear layer and its activation."""
    from torch import nn

    fields = config(str(folder)) or {}
    name = str(fields.get("activation_function", "Identity")).rsplit(".", 1)[-1]
    if name not in ("Identity", "Tanh", "ReLU", "GELU", "Sigmoid"):
        raise ModelError(f"{folder} has the activation {name}; this tool knows Identity, Tanh, ReLU, GELU and Sigmoid")
    file = next((path for path in (folder / "model.safetensors", folder / "pytorch_model.bin") if path.is_file()), None)
    if file is None:
        raise ModelError(f"{folder} holds neither model.safetensors nor pytorch_model.bin; download the model again")
    tensors = load_tensors(file, pickle=pickle)
    activate = getattr(nn, name)()
    return lambda vector: activate(
        nn.functional.linear(vector, tensors["linear.weight"].float(), tensors.get("linear.bias"))
    )


class _Words:
    """A tokenizer of our own: no text becomes a control token, and nothing of it changes between calls.

    The switch for splitting control tokens lies on the library's shared object, where another caller could turn it.
    """

    def __init__(self, tokenizer: Any) -> None:
        if not getattr(tokenizer, "is_fast", False):
            raise ModelError(f"{type(tokenizer).__name__} has no fast form; convert it to a tokenizer.json first")
        import tokenizers

        self._backend = tokenizers.Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
        self._backend.no_truncation()
        self._backend.no_padding()
        self._backend.encode_special_tokens = True
        self._cut_side, self._fill_left = tokenizer.truncation_side, tokenizer.padding_side == "left"
        self._pad = tokenizer.pad_token_id
        added = {number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
        ends = {getattr(tokenizer, f"{role}_token_id", None) for role in ("bos", "eos", "cls", "sep", "pad", "mask")}
        # What a vocabulary lacks becomes its unknown token, which is no control token unless it is an end as well.
        self._controls = (added | set(tokenizer.all_special_ids)) - ({tokenizer.unk_token_id} - ends)
        self.n_added = int(self._backend.num_special_tokens_to_add(False))

    def ids(self, text: str, limit: int | None) -> tuple[list[int], int]:
        """The ids of a text with the control tokens that the model puts around it, and how many tokens were cut off."""
        body = self._body(text)
        room = len(body) if limit is None else limit - self.n_added
        n_cut = max(0, len(body) - room)
        body.truncate(room, direction=self._cut_side)
        return list(self._backend.post_process(body, None, True).ids), n_cut

    def _body(self, text: str) -> Any:
        """The tokens of a text, none of which is a control token."""
        while True:
            found = self._backend.encode(text, add_special_tokens=False)
            spans = (span for number, span in zip(found.ids, found.offsets) if number in self._controls)
            leak = next(spans, None)
            if leak is None:
                return found
            # Some vocabularies hold a control token as an ordinary piece too: a space breaks it up, or replaces
            # a single character.
            start, end = leak
            middle = (start + end) // 2
            text = f"{text[:middle]} {text[middle if end - start > 1 else start + 1 :]}"

    def fill(self, ids: list[int], limit: int) -> tuple[list[int], list[bool]]:
        """The ids filled up to the limit on the tokenizer's side, and which of them are the text's."""
        n_missing = limit - len(ids)
        if n_missing and self._pad is None:
            raise ModelError("the tokenizer has no padding token; leave padded off")
        pads, gaps = [self._pad] * n_missing, [False] * n_missing
        mask = [True] * len(ids)
        return (pads + ids, gaps + mask) if self._fill_left else (ids + pads, mask + gaps)
