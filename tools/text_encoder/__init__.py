"""Text encoders of transformers as one tool: sentence encoders, BERT and its kin, T5, the text towers of CLIP.

Sentence encoders say in `modules.json`, the layout of sentence-transformers, how they pool; that is followed.
Shapes: B texts, L tokens, states of width D.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

from mmagent import Card, Context, Embedding, Text, Tool, checkpoint
from mmagent.errors import MediaError, ModelError
from mmagent.tool import Scalar

from .families import PADDED, UNMASKED, class_of
from .pooling import POOLINGS, dense
from .recipe import Recipe, recipe_of
from .words import Words

USUAL = 32
"""Tokens of a text that is not filled up, for its expected cost."""


class _Encoder(Tool, kind="encoder", cost=0.1, memory=500_000_000, needs=("extra:local",)):
    """What both tools have in common: the settings, the card that follows from them, and the loaded encoder."""

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
        device: str = "cpu",
        dtype: checkpoint.Dtype = "auto",
    ) -> None:
        self.model, self.revision, self.pickle, self.tokenizer = model, revision, pickle, tokenizer
        self.device, self.dtype = device, dtype
        self.output, self.pooling, self.layer, self.length = output, pooling, layer, length
        self.padded, self.prompt = padded, prompt
        # A model may pool pictures too, and text in several ways, each into a space of its own.
        own = output if output != "pooled" else f"text.pooled{'' if pooling == 'auto' else '.' + pooling}"
        self.space = space or checkpoint.space_name(model, own, layer, revision)

    @classmethod
    def card_for(cls, settings: Mapping[str, Scalar]) -> Card:
        asked = cast("_Encoder", cls.make(settings))
        recipe, width, filled = asked._recipe(), None, None
        if recipe is not None:
            width = recipe.joint if asked.output == "projected" else recipe.width
            if asked.output == "pooled" and asked.pooling == "auto":
                width = recipe.pooled_width or width
            filled = asked._limit(recipe) if asked._fills(recipe) else None
        beside = [(asked.tokenizer, "")] if asked.tokenizer else []
        return checkpoint.described(
            cls.card,
            (asked.model, asked.revision),
            *beside,
            made={"tokens": filled if asked.output == "tokens" else 1, "width": width, "space": asked.space},
            memory=checkpoint.itemsize(asked.device, asked.dtype) * recipe.n_numbers if recipe else 0,
            cost=checkpoint.seconds(recipe.size, filled or USUAL) if recipe else 0,
        )

    def load(self) -> None:
        place = checkpoint.locate(self.model, revision=self.revision)
        recipe = self._recipe()
        if recipe is None:
            raise ModelError(f"{self.model} holds no config.json; name a model that save_pretrained wrote")
        folder: dict[str, Any] = {"subfolder": recipe.folder} if recipe.folder else {}
        # CLIP's config tells the width of the shared space twice, and the outer one is true.
        joint: dict[str, Any] = (
            {"projection_dim": recipe.joint} if self.output == "projected" and recipe.kind == "clip" else {}
        )
        unneeded = () if self.pooling == "model" else ("pooler",)  # which many checkpoints leave out
        self._network = checkpoint.load_pretrained(
            class_of(recipe.kind, self.output), self.model, pickle=self.pickle, revision=self.revision,
            device=self.device, dtype=self.dtype, optional=unneeded, **folder, **joint,
        )  # fmt: skip
        if recipe.kind == "clap" and self.output != "projected":
            self._network = self._network.text_model
        elif self._network.config.is_encoder_decoder:
            self._network = self._network.get_encoder()
        self._words = (
            Words(checkpoint.load_part("AutoTokenizer", self.tokenizer))
            if self.tokenizer
            else Words(checkpoint.load_part("AutoTokenizer", self.model, revision=self.revision, **folder))
        )
        self._dense = [dense(place / path, self.pickle) for path in recipe.dense]
        self._loaded = recipe
        limit = self._limit(recipe)
        if limit is not None and limit <= self._words.n_added:
            raise ModelError(f"{self.model} puts {self._words.n_added} tokens around a text; length is more than that")

    def unload(self) -> None:
        del self._network, self._words, self._dense, self._loaded

    def _read(self, text: Text, ctx: Context, name: str = "text") -> tuple[list[int], list[bool]]:
        """The ids of a text, and which of them are not there to fill it up."""
        recipe, limit = self._loaded, self._limit(self._loaded)
        written = self.prompt + text.text
        ids, n_cut = self._words.ids(written.lower() if recipe.lower else written, limit)
        if n_cut:
            ctx.progress(0.0, note=f"{name} cut to {len(ids)} tokens, {n_cut} left out")
        if not ids:
            raise MediaError(f"{self.card.name}: the {name} is empty, and {self.model} makes no token of it")
        return self._words.fill(ids, limit) if limit and self._fills(recipe) else (ids, [True] * len(ids))

    def _encode(self, texts: Sequence[tuple[list[int], list[bool]]]) -> list[Embedding]:
        """The embeddings of texts that were read, of one length or of types in PADDED."""
        import torch

        n_longest = max(len(ids) for ids, _ in texts)
        inputs = {"input_ids": torch.tensor([ids + [self._words.pad] * (n_longest - len(ids)) for ids, _ in texts])}
        if not self._loaded.kind.startswith(UNMASKED):
            inputs["attention_mask"] = torch.tensor(
                [mask + [False] * (n_longest - len(mask)) for _, mask in texts]
            ).long()
        with checkpoint.forward(self.model):
            out = self._network(**checkpoint.given(inputs, self._network), output_hidden_states=self.layer != -1)
            states = (out.last_hidden_state if self.layer == -1 else out.hidden_states[self.layer]).float().cpu()
            if self.output == "tokens":
                each = zip(checkpoint.array(states), texts)
                return [Embedding(found[: len(ids)], self.space, mask) for found, (ids, mask) in each]  # [L, D] each
            own = self._own(out)
            vectors = [
                self._pool(None if own is None else own[index], states[index, : len(mask)][torch.tensor(mask)])
                for index, (_, mask) in enumerate(texts)
            ]
        return [Embedding(vector[None].numpy(), self.space) for vector in vectors]  # [1, D] each

    def _own(self, out: Any) -> Any:
        """The vectors `[B, D]` that the model itself makes, None if it makes none."""
        found = getattr(out, "text_embeds", None)
        found = getattr(out, "pooler_output", None) if found is None else found
        return None if found is None else found.float().cpu()

    def _pool(self, own: Any, states: Any) -> Any:
        """The vector `[D]` of a text, from the one that the model makes and its states `[L, D]` that count."""
        if self.output == "projected":
            return own / own.norm() if self._loaded.kind == "clap" else own  # as the library compares them
        auto = self.pooling == "auto"
        how = self._loaded.pooling if auto else self.pooling
        if how == "model" and own is None:
            raise ModelError(f"{self.model} has no pooler of its own; set pooling to mean, cls, max or last")
        vector = own if how == "model" else POOLINGS[how](states)
        for layer in self._dense if auto else ():
            vector = layer(vector)
        return vector / vector.norm().clamp_min(1e-12) if auto and self._loaded.unit else vector

    def _recipe(self) -> Recipe | None:
        """What the checkpoint says of itself, None while it is not here; ModelError if the settings do not fit it."""
        recipe = recipe_of(self.model, self.revision, self.tokenizer)
        if recipe is None:
            return None
        layer = self.layer
        if self.output == "projected" and recipe.joint is None:
            raise ModelError(f"{self.model} shares no space with an image or audio encoder; take pooled")
        if layer != -1 and (self.output == "projected" or self.pooling == "model"):
            raise ModelError(f"{self.model} makes its own vector of the last layer; leave layer at -1")
        checkpoint.check_layer(self.model, layer, recipe.n_layers)
        auto = self.output == "pooled" and self.pooling == "auto"
        if auto and recipe.problem:
            raise ModelError(f"{self.model} {recipe.problem}: set pooling to another than auto")
        if auto and self.prompt and not recipe.prompt_pooled:
            raise ModelError(f"{self.model} leaves its prompt out of the pooling, which this tool cannot; set pooling")
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


class TextEncoder(_Encoder, name="text-encoder.v1"):
    """Encode text with a checkpoint of transformers; no text ever becomes one of the model's control tokens.

    `model` is a folder or a hub id, `tokenizer` another one if the tokenizer lies elsewhere. `output`: `tokens`, a
    state each; `pooled`, one vector; `projected`, the vector in the space that the model shares with its image or
    audio encoder (CLIP, SigLIP, CLAP). `pooling` of `pooled`: `auto` is what the checkpoint's own modules say, else
    the mean; `mean`, `max`, `cls` (the first state), `last`; `model`, its own pooler. `layer`: -1 the result, -2
    what enters the last layer. Text of more than `length` tokens, the model's own limit if not given, is cut, and
    progress says so; `padded` fills shorter text up with states that the mask leaves out. `prompt` is put before
    the text. `space` names the space of the states; `pickle` allows weights that have to be unpickled; `device` and
    `dtype` are where the model runs, and in which precision.
    """

    def run(self, text: Text, ctx: Context) -> Embedding:
        (made,) = self._encode([self._read(text, ctx)])
        return made


class TextBatchEncoder(_Encoder, name="text-batch-encoder.v1", cost=0.4):
    """Encode texts with a checkpoint as `text-encoder` does, up to `batch` of them going through it together.

    The embeddings are in the order of the texts; those of like length go together, and of types that are not known
    to leave out what fills up shorter ones, those of one length. It differs from one text at a time by rounding alone.
    """

    def run(self, texts: list[Text], ctx: Context, batch: int = 32) -> list[Embedding]:
        read = [self._read(text, ctx, f"text {number}") for number, text in enumerate(texts, 1)]
        alike = self._loaded.kind not in PADDED
        return checkpoint.in_batches(read, batch, self._encode, ctx, "text", size=lambda one: len(one[0]), alike=alike)
