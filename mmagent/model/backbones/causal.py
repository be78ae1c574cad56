"""Any decoder-only LLM that transformers can load, frozen, in float32, reading embeddings.

It knows nothing of signals, prompts or sampling.
"""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

from mmagent.errors import ModelError
from mmagent.model.backbones import States, weights
from mmagent.model.backbones.bend import bend
from mmagent.model.backbones.inside import Inside
from mmagent.model.tokens import Tokens

if TYPE_CHECKING:
    from torch import Tensor

    from mmagent.model.beside import Beside


@dataclass(slots=True, eq=False)
class _Read:
    """The keys and values of what was read, the mask `[B, S]` of it, what stands beside it, and its last states."""

    keys: Any
    mask: Tensor | None = None
    beside: Beside | None = None
    last: States | None = None

    def fork(self) -> _Read:
        # A copy, a few MB: not every cache can be cut back, and replies in other threads share this one.
        return replace(self, keys=copy.deepcopy(self.keys))


class CausalBackbone:
    """An `AutoModelForCausalLM` with its tokenizer; its parameters take no gradient, its inputs may."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.model = model.eval().requires_grad_(False)
        self.tokens = Tokens(tokenizer, ends=weights.ends(model))
        self._in, self._out = model.get_input_embeddings(), model.get_output_embeddings()
        if self._out is None:
            raise ModelError(f"{type(model).__name__} makes no logits over tokens; load a causal language model")
        takes = inspect.signature(model.forward).parameters
        if "past_key_values" not in takes:
            raise ModelError(
                f"{type(model).__name__} remembers what it reads as a state, and padding would enter it; load a transformer"
            )
        self._positions = "position_ids" in takes
        check_ids(self.tokens, model)
        self.learnt_positions = learnt_positions(model)
        self._layers = _layers(model)
        self._inside = Inside(self._out, self._layers)

    @classmethod
    def load(cls, source: str | Path) -> CausalBackbone:
        """Load from a folder, a GGUF file or a hub id; ModelError says what cannot be loaded and why."""
        return cls(*weights.read(source, "AutoModelForCausalLM", "causal language model"))

    @property
    def n_vocab(self) -> int:
        return int(self._out.weight.shape[0])

    @property
    def in_rows(self) -> Tensor:
        weight: Tensor = self._in.weight
        return weight

    @property
    def out_rows(self) -> Tensor:
        weight: Tensor = self._out.weight
        return weight

    @property
    def layers(self) -> tuple[int, int]:
        if not self._layers:
            raise ModelError(f"{type(self.model).__name__} has no list of layers that anything could stand between")
        return len(self._layers), int(self.model.config.get_text_config().hidden_size)

    def embed(self, ids: Tensor) -> Tensor:
        embedded: Tensor = self._in(ids)
        return embedded  # [..., E]

    def bend(self, products: Tensor) -> Tensor:
        return self._bend(products)

    @functools.cached_property
    def _bend(self) -> Callable[[Tensor], Tensor]:
        with torch.no_grad():
            mask = torch.ones(1, 1, dtype=torch.long, device=self.in_rows.device)
            one = self.embed(torch.zeros(1, 1, dtype=torch.long, device=mask.device))
            found = self._pass(one, mask, lambda states: states, None)
            return bend(self.model, self._out(found.hidden)[0, 0].float(), found.logits[0, 0].float())

    def cache(self) -> Any:
        from transformers import DynamicCache

        return _Read(DynamicCache(config=self.model.config))

    def read(self, inputs: Tensor, mask: Tensor, cache: Any, beside: Beside | None = None) -> None:
        if beside is not None:
            cache.beside = beside if cache.beside is None else cache.beside.then(cache.mask.sum(dim=1), beside)
        found = self.forward(inputs, mask, cache)
        cache.last = States(found.logits, found.hidden[:, -1:])

    def begin(self, cache: Any) -> States:
        last: States = cache.last
        return last

    def forward(self, inputs: Tensor, mask: Tensor, cache: Any, keep: int = 1) -> States:
        cache.mask = mask if cache.mask is None else torch.cat([cache.mask, mask], dim=1)  # [B, S]
        return self._pass(inputs, cache.mask, lambda states: states[:, -keep:], cache.beside, keys=cache.keys)

    def at(
        self, inputs: Tensor, mask: Tensor, places: Tensor, beside: Beside | None = None,
        branches: Tensor | None = None, cache: Any = None,
    ) -> States:  # fmt: skip
        """As every backbone's; with a `cache`, which nobody uses again, the prompts go on from what it has read."""
        tree = {} if branches is None else self._tree(mask, branches)
        known, keys = (mask, None) if cache is None else (torch.cat([cache.mask, mask], dim=1), cache.keys)
        return self._pass(inputs, known, lambda states: states.flatten(0, 1)[places], beside, keys, **tree)

    @functools.cached_property
    def remembers(self) -> bool:
        """Whether what it reads can be remembered: whole attention, all layers alike, and positions that it is told."""
        from transformers.cache_utils import DynamicLayer

        cache = self.cache()
        with torch.no_grad():
            self.read(self.in_rows[None, :1], torch.ones(1, 1, dtype=torch.long, device=self.in_rows.device), cache)
        layers = cache.keys.layers
        shapes = {getattr(part, "shape", None) for layer in layers for part in (layer.keys, layer.values)}
        return self._positions and all(type(layer) is DynamicLayer for layer in layers) and len(shapes) == 1

    def remember(self, cache: Any) -> list[Tensor]:
        """What a cache has read of each row, to go on from another time: keys and values `[layers, 2, H, S_b, d]`."""
        layers = [torch.stack([layer.keys, layer.values]) for layer in cache.keys.layers]
        whole = torch.stack(layers)  # [n, 2, B, H, S, d]
        return [whole[:, :, row][..., counts, :] for row, counts in enumerate(cache.mask.bool())]

    def recall(self, rows: Sequence[Tensor]) -> Any:
        """A cache that has read what was remembered of each row."""
        from transformers import DynamicCache

        longest = max(row.shape[-2] for row in rows)
        gaps = torch.tensor([longest - row.shape[-2] for row in rows], device=self.in_rows.device)
        whole = torch.stack([functional.pad(row, (0, 0, longest - row.shape[-2], 0)) for row in rows], dim=2)
        whole = whole.to(self.in_rows)  # [n, 2, B, H, S, d], padded before its rows
        mask = (torch.arange(longest, device=gaps.device) >= gaps[:, None]).long()  # [B, S]
        return _Read(DynamicCache([tuple(layer) for layer in whole], config=self.model.config), mask)

    def _tree(self, mask: Tensor, branches: Tensor) -> dict[str, Tensor]:
        """Who attends to whom, bool `[B, 1, T, T]`, and positions `[B, T]`: each branch goes on where the trunk ends."""
        config = self.model.config.get_text_config()
        kinds = set(getattr(config, "layer_types", None) or ()) - {"full_attention"}
        # Only this one takes a mask of our own for what it is, and only whole attention means what it says.
        if config._attn_implementation != "sdpa" or kinds or not self._positions:
            raise ModelError(
                f"{type(self.model).__name__} cannot read prompts that share their beginning; set apart: false"
            )
        n_positions = mask.shape[1]
        before = torch.ones(n_positions, n_positions, dtype=torch.bool, device=mask.device).tril()
        own = (branches[:, None] == 0) | (branches[:, None] == branches[..., None])  # [B, T, T]
        seen = before & own & mask[:, None].bool()
        itself = torch.eye(n_positions, dtype=torch.bool, device=mask.device)  # padding reads something too
        return {"attention_mask": (seen | itself)[:, None], "position_ids": (seen.sum(dim=-1) - 1).clamp(min=0)}

    def _pass(
        self, inputs: Tensor, mask: Tensor, take: Callable[[Tensor], Tensor], beside: Beside | None, keys: Any = None,
        **tree: Tensor,
    ) -> States:  # fmt: skip
        length = inputs.shape[1]
        found, _ = self._inside.run(
            self.model, take, beside.between(mask, length) if beside is not None else None,
            inputs_embeds=inputs, past_key_values=keys, use_cache=keys is not None,
            **(tree or {"attention_mask": mask, **self._places(mask, length)}),
        )  # fmt: skip
        return found

    def _places(self, mask: Tensor, length: int) -> dict[str, Tensor]:
        """Positions counted over the mask: a padded one takes that of its neighbour and is never attended to."""
        if not self._positions:
            return {}
        return {"position_ids": (mask.long().cumsum(-1) - 1).clamp(min=0)[:, -length:]}  # [B, T]


def check_ids(tokens: Tokens, model: Any) -> None:
    """ModelError unless a model has a row, in and out, for every id of a tokenizer."""
    n_rows = min(len(part.weight) for part in (model.get_input_embeddings(), model.get_output_embeddings()))
    if tokens.n_ids > n_rows:
        raise ModelError(
            f"the tokenizer has ids up to {tokens.n_ids - 1}, but {type(model).__name__} only {n_rows} rows; "
            "load the tokenizer that belongs to the model"
        )


def learnt_positions(model: Any) -> int | None:
    """How many positions a model has learnt an embedding of each; None where it has none such."""
    told = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    tables = [part for part in model.modules() if isinstance(part, nn.Embedding)]
    # Some tables begin with rows that stand for no position.
    sizes = {
        len(part.weight) - getattr(part, "offset", 0) for part in tables if part is not model.get_input_embeddings()
    }
    return told if told in sizes else None


def _layers(model: Any) -> list[nn.Module]:
    """A model's layers: the decoder's first list of as many modules as its configuration tells; families name it each
    their own."""
    n_layers = getattr(model.config.get_text_config(), "num_hidden_layers", None)
    lists = (part for part in model.get_decoder().modules() if isinstance(part, nn.ModuleList))
    return next((list(part) for part in lists if len(part) == n_layers), [])
