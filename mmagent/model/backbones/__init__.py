"""Backbones: the frozen LLMs that a multimodal one is built around. What every kind of them offers is here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from torch import Tensor

    from mmagent.model.spec import BackboneSpec
    from mmagent.model.tokens import Tokens


@dataclass(frozen=True, slots=True)
class States:
    """What a forward pass gives: logits `[B, keep, V]` of the last `keep` positions, and the hidden states
    `[B, T, D]` of all of them after the final norm."""

    logits: Tensor
    hidden: Tensor


class Backbone(Protocol):
    """A frozen causal LLM that reads embeddings. B: batch, T: new positions, S: all positions, V: vocabulary,
    E: width of its input embeddings, D: width of its hidden states (E and D are mostly the same)."""

    @property
    def model(self) -> Any:
        """The library's own module, which LoRA is put into."""
        ...

    @property
    def tokens(self) -> Tokens:
        """Its tokenizer and chat template."""
        ...

    @property
    def n_vocab(self) -> int:
        """V, the number of its logits; every token id is below it."""
        ...

    @property
    def in_rows(self) -> Tensor:
        """The input embedding matrix `[≥ V, E]`; never changed."""
        ...

    @property
    def out_rows(self) -> Tensor:
        """The matrix `[V, D]` that makes logits of hidden states; never changed."""
        ...

    def embed(self, ids: Tensor) -> Tensor:
        """The embeddings `[..., E]` of token ids `[...]`."""
        ...

    def cache(self) -> Any:
        """An empty cache of keys and values, to be handed to consecutive calls of `forward`."""
        ...

    def forward(self, inputs: Tensor, mask: Tensor, cache: Any, keep: int = 1) -> States:
        """Read `inputs` `[B, T, E]` after what `cache` holds; `mask` `[B, S]` says which of all positions count.

        Positions are counted over the mask, so a row padded anywhere gives what it gives alone.
        """
        ...

    def at(self, inputs: Tensor, mask: Tensor, places: Tensor, cache: Any = None) -> States:
        """As `forward`, for training: logits `[N, V]` at `places` `[N]` of the flattened `[B · T]` alone, and no cache
        is made. The hidden states `[B, T, D]` are what the logits are made of."""
        ...


def load_backbone(spec: BackboneSpec) -> Backbone:
    """The backbone that a spec names; FetchError, MissingExtra or ModelError say why it cannot be had."""
    from mmagent.fetch import fetch
    from mmagent.model.backbones.causal import CausalBackbone

    return CausalBackbone.load(fetch(spec.weights) if spec.weights else str(spec.path))
