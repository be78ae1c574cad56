"""What a denoiser is asked. Shapes: B items, C latent channels, L tokens, D width, P pooled width."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

Call = Callable[[Any, "Batch"], Any]
"""Asks the network of a pipeline."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Noisy latents `[B, C, …]` with their times `[B]`, and what they are to be denoised under.

    Embeddings are `states` `[B, L, D]`, with the mask `[B, L]` of those that count, and `pooled` `[B, P]` where the
    pipeline takes one. `media` is what the latents are of.
    """

    latents: torch.Tensor
    times: torch.Tensor
    states: torch.Tensor
    mask: torch.Tensor
    pooled: torch.Tensor | None
    media: Sequence[Any]

    @property
    def kept(self) -> list[torch.Tensor]:
        """The states that count, of each item as many as it has."""
        return [rows[mask] for rows, mask in zip(self.states, self.mask, strict=True)]
