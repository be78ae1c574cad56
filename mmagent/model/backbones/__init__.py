"""Backbones: the frozen LLMs that a multimodal one is built around. What every kind of them offers is here.

A prompt is read, piece after piece (`read`); a reply begins (`begin`) and goes on (`forward`). A decoder-only LLM does
the same in all three; an encoder–decoder reads prompts with its encoder, and speaks with its decoder.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    from torch import Tensor

    from mmagent.model.beside import Beside
    from mmagent.model.spec import BackboneSpec
    from mmagent.model.tokens import Tokens

Between = Callable[[int, "Tensor"], "Tensor"]
"""The number of a layer and the states `[B, T, D]` that are on their way into it, to those that it reads."""


@dataclass(frozen=True, slots=True)
class States:
    """What a pass gives: the logits that were asked for, `[B, keep, V]` of the last positions or `[N, V]`, and of all
    positions the states `[B, T, D]` that logits are made of: after the final norm, scaled as the head takes them."""

    logits: Tensor
    hidden: Tensor


class Cache(Protocol):
    """What a backbone has read of a batch of rows. Reading on changes it."""

    def fork(self) -> Self:
        """One of its own to go on from; this one is left as it is."""
        ...


class Backbone(Protocol):
    """A frozen LLM that reads embeddings. B: batch, T: new positions, V: vocabulary, E: width of its input
    embeddings, D: width of its hidden states (E and D are mostly the same).

    `mask` `[B, T]` says which new positions count. A row padded anywhere gives what it gives alone.
    """

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

    @property
    def learnt_positions(self) -> int | None:
        """How many positions it can read and speak, where it has learnt each of them; None where it counts on."""
        ...

    @property
    def layers(self) -> tuple[int, int]:
        """How many layers something may stand between (`Beside`), and the width of the states that enter them.
        ModelError where nothing may."""
        ...

    def embed(self, ids: Tensor) -> Tensor:
        """The embeddings `[..., E]` of token ids `[...]`."""
        ...

    def bend(self, products: Tensor) -> Tensor:
        """The logits that the model would make of products of its states with rows."""
        ...

    def cache(self) -> Any:
        """A `Cache` of nothing read, to be handed to consecutive calls."""
        ...

    def read(self, inputs: Tensor, mask: Tensor, cache: Any, beside: Beside | None = None) -> None:
        """Read (on in) prompts, `inputs` `[B, T, E]`; `beside` is what stands beside these positions."""
        ...

    def begin(self, cache: Any) -> States:
        """The prompts are over: what the first id of each reply is predicted from, one position a row."""
        ...

    def forward(self, inputs: Tensor, mask: Tensor, cache: Any, keep: int = 1) -> States:
        """Read on in replies, `inputs` `[B, T, E]`: logits of the last `keep` positions."""
        ...

    def at(
        self, inputs: Tensor, mask: Tensor, places: Tensor, beside: Beside | None = None, branches: Tensor | None = None
    ) -> States:
        """Prompts with their replies, for training: logits `[N, V]` at `places` `[N]` of the flattened `[B · T]` alone,
        and no cache. A row's reply begins behind its first place, and what stands before that has no states.

        `branches` `[B, T]` makes several prompts that begin alike one row: 0 at what they have in common, then the
        number of the one that a position belongs to. ModelError where the LLM cannot read so.
        """
        ...


def load_backbone(spec: BackboneSpec) -> Backbone:
    """The backbone that a spec names; FetchError, MissingExtra or ModelError say why it cannot be had."""
    from mmagent.fetch import fetch
    from mmagent.model.backbones.weights import load

    return load(fetch(spec.weights) if spec.weights else str(spec.path))
