"""The Perceiver Resampler of Flamingo (Alayrac et al. 2022, arXiv:2204.14198, section 2.1 and appendix A.1.1).

Latents read the features and themselves together, as keys and values, and pass a feed-forward layer with squared ReLU,
several times. The paper adds to each frame of a video an embedding of its time; here encoders tell the time, or nobody.
B pictures, L features, M latents, D their width, H heads, K the width of one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmagent.model.projectors import counted


class SquaredReLU(nn.Module):
    """The square of what is above zero (So et al. 2021, arXiv:2109.08668)."""

    def forward(self, values: Tensor) -> Tensor:
        return functional.relu(values).square()


class _Layer(nn.Module):
    def __init__(self, dim: int, heads: int, head_dim: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_features, self.norm_latents = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.to_queries = nn.Linear(dim, heads * head_dim, bias=False)
        self.to_keys_values = nn.Linear(dim, 2 * heads * head_dim, bias=False)
        self.to_out = nn.Linear(heads * head_dim, dim, bias=False)
        self.feedforward = nn.Sequential(
            nn.LayerNorm(dim), nn.Linear(dim, 4 * dim, bias=False), SquaredReLU(), nn.Linear(4 * dim, dim, bias=False)
        )

    def forward(self, latents: Tensor, normed: Tensor, known: Tensor) -> Tensor:
        own, both = self.norm_latents(latents), self.to_keys_values.weight
        # The norm's weights as part of the matrix: nothing as long as the features has to be gone back through.
        of_features = functional.linear(normed, both * self.norm_features.weight, both @ self.norm_features.bias)
        read = torch.cat([of_features, self.to_keys_values(own)], dim=1)  # [B, L + M, 2 · H · K]
        queries = self.to_queries(own).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # [B, H, M, K]
        keys, values = read.view(*read.shape[:2], 2, self.heads, queries.shape[-1]).permute(2, 0, 3, 1, 4)
        seen = torch.cat([known, known.new_ones(latents.shape[:2])], dim=1)[:, None, None]  # [B, 1, 1, L + M]
        found = functional.scaled_dot_product_attention(queries, keys, values, seen)  # [B, H, M, K]
        latents = latents + self.to_out(found.transpose(1, 2).flatten(2))
        made: Tensor = latents + self.feedforward(latents)
        return made


class Perceiver(nn.Module):
    """Maps `[B, L, D_in]`, L as it may be, to `[B, queries, D_out]`."""

    def __init__(
        self, d_in: int, d_out: int, queries: int = 64, layers: int = 6, heads: int = 8, head_dim: int = 64
    ) -> None:
        super().__init__()
        self.latents = nn.Parameter(torch.randn(queries, d_in) * 0.02)
        self.layers = nn.ModuleList(_Layer(d_in, heads, head_dim) for _ in range(layers))
        self.norm, self.to_llm = nn.LayerNorm(d_in), nn.Linear(d_in, d_out)

    def forward(self, states: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        known, normed = counted(mask, states), functional.layer_norm(states, states.shape[-1:])
        latents = self.latents.expand(len(states), -1, -1)  # [B, M, D]
        for layer in self.layers:
            latents = layer(latents, normed, known)
        made: Tensor = self.to_llm(self.norm(latents))
        return made, known.new_ones(made.shape[:2])
