"""Learned queries that read the states of signal tokens and become a generator's conditioning.

GILLMapper (Koh et al. 2023, arXiv:2305.17216, section 3.2), with the sizes of NExT-GPT (Wu et al. 2024,
arXiv:2309.05519, table of configurations): a linear map to 512 dimensions, a transformer of 4 + 4 layers, 4 heads and
2,048 inside, learned queries for the decoder, a linear map to the generator's width.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mmagent.model.projectors import counted


class QueryTransformer(nn.Module):
    """Maps `[B, k, D_in]` to `[B, queries, D_out]`."""

    def __init__(
        self,
        d_in: int,
        d_out: int,
        queries: int,
        dim: int = 512,
        layers: int = 4,
        heads: int = 4,
        feedforward: int = 2048,
    ) -> None:
        super().__init__()
        self.enter = nn.Linear(d_in, dim)
        shape: dict[str, Any] = {
            "dim_feedforward": feedforward,
            "dropout": 0.0,
            "batch_first": True,
            "norm_first": True,
        }
        reading = nn.TransformerEncoderLayer(dim, heads, **shape)
        asking = nn.TransformerDecoderLayer(dim, heads, **shape)
        self.encoder = nn.TransformerEncoder(reading, layers, nn.LayerNorm(dim), enable_nested_tensor=False)
        self.decoder = nn.TransformerDecoder(asking, layers, nn.LayerNorm(dim))
        self.queries = nn.Parameter(torch.randn(1, queries, dim) * 0.02)
        self.leave = nn.Linear(dim, d_out)

    def centre(self, states: Tensor, target: Tensor) -> None:
        """Begin where `states` `[B, k, D_in]` lie about 0, and with the mean `target` `[D_out]`.

        States of an LLM have in common several times what tells them apart, which the layers' norms would squeeze.
        """
        with torch.no_grad():
            self.enter.bias.copy_(-self.enter.weight @ states.mean(dim=(0, 1)))
            self.leave.bias.copy_(target)

    def forward(self, states: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        known = counted(mask, states)
        read = self.encoder(self.enter(states), src_key_padding_mask=~known)  # [B, k, D]
        queries = self.queries.expand(len(states), -1, -1)
        found = self.decoder(queries, read, memory_key_padding_mask=~known)  # [B, M, D]
        made: Tensor = self.leave(found)
        return made, known.new_ones(made.shape[:2])
