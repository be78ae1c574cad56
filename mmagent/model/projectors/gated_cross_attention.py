"""Layers of cross-attention to media between the layers of a frozen LLM, behind gates that start shut.

Flamingo (Alayrac et al. 2022, arXiv:2204.14198, section 2.2, figure 4, and appendix A.1): a Perceiver Resampler makes
the same number of latents of each medium, and before every n-th layer stand a cross-attention to them and a
feed-forward layer, each through tanh of a gate that is 0 at first, so that nothing changes what the LLM says until it
is trained. Which medium a position reads, `mmagent.model.beside` tells.
B prompts, T positions, n media of a prompt, M latents of a medium, D the LLM's width, H heads, K the width of one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mmagent.errors import ModelError
from mmagent.model.projectors.perceiver import Perceiver, SquaredReLU


class GatedBlock(nn.Module):
    """What stands before one layer of the LLM."""

    def __init__(self, dim: int, heads: int, head_dim: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(dim)
        self.to_queries = nn.Linear(dim, heads * head_dim, bias=False)
        self.to_keys_values = nn.Linear(dim, 2 * heads * head_dim, bias=False)
        self.to_out = nn.Linear(heads * head_dim, dim, bias=False)
        self.feedforward = nn.Sequential(
            nn.LayerNorm(dim), nn.Linear(dim, 4 * dim, bias=False), SquaredReLU(), nn.Linear(4 * dim, dim, bias=False)
        )
        self.gate_attention, self.gate_feedforward = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))

    def keys_values(self, media: Tensor) -> tuple[Tensor, Tensor]:
        """Of media `[B, n, M, D]` the keys and values, each `[B, H, n · M, K]`."""
        both = self.to_keys_values(media.flatten(1, 2)).unflatten(-1, (2, self.heads, -1))
        keys, values = both.permute(2, 0, 3, 1, 4)
        return keys, values

    def forward(self, states: Tensor, keys: Tensor, values: Tensor, seen: Tensor) -> Tensor:
        """The states `[B, T, D]` with what they read; `seen` `[B, T, n · M]` is True at what a position reads, and
        where it is True nowhere a position reads nothing."""
        queries = self.to_queries(self.norm(states)).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # [B, H, T, K]
        some = seen.any(dim=-1, keepdim=True)  # [B, T, 1]
        # A softmax over nothing is no number: such positions read everything, and it is dropped.
        read = nn.functional.scaled_dot_product_attention(queries, keys, values, (seen | ~some)[:, None])
        attended = self.to_out(read.transpose(1, 2).flatten(2)).masked_fill(~some, 0.0)  # [B, T, D]
        states = states + self.gate_attention.tanh() * attended
        made: Tensor = states + self.gate_feedforward.tanh() * self.feedforward(states)
        return made


class GatedCrossAttention(nn.Module):
    """Maps `[B, L, D_in]` to `[B, queries, D]` by its resampler of `layers` layers; `blocks` are what reads that, by the
    number of the LLM's layer that each stands before: the `every`-th, the 2 · `every`-th and so on."""

    def __init__(
        self, d_in: int, d_model: int, n_layers: int, every: int = 4, queries: int = 64, layers: int = 6,
        heads: int = 8, head_dim: int = 64,
    ) -> None:  # fmt: skip
        super().__init__()
        if every > n_layers:
            raise ModelError(f"gated cross-attention has every: {every}, but the LLM only {n_layers} layers; lower it")
        self.resampler = Perceiver(d_in, d_model, queries, layers, heads, head_dim)
        places = range(every - 1, n_layers, every)
        self.blocks = nn.ModuleDict({str(place): GatedBlock(d_model, heads, head_dim) for place in places})

    def block(self, number: int) -> GatedBlock | None:
        """What stands before a layer of the LLM, if anything does."""
        found = getattr(self.blocks, str(number), None)
        return found if isinstance(found, GatedBlock) else None

    def forward(self, states: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        made: tuple[Tensor, Tensor] = self.resampler(states, mask)
        return made
