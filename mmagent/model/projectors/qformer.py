"""The Q-Former of BLIP-2 (Li et al. 2023, arXiv:2301.12597, section 3.1), its queries without a text side.

A BERT encoder over learned queries, which in every second layer also attend to the features; then a linear map to
the LLM. transformers' own class is built from its configuration.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mmagent.model.projectors import counted


class QFormer(nn.Module):
    """Maps `[B, L, D_in]` to `[B, queries, D_out]`."""

    def __init__(
        self,
        d_in: int,
        d_out: int,
        queries: int = 32,
        layers: int = 12,
        dim: int = 768,
        heads: int = 12,
        cross_every: int = 2,
    ) -> None:
        super().__init__()
        from transformers import Blip2QFormerConfig, Blip2QFormerModel

        config = Blip2QFormerConfig(
            hidden_size=dim,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            intermediate_size=4 * dim,
            encoder_hidden_size=d_in,
            cross_attention_frequency=cross_every,
            hidden_dropout_prob=0.0,  # what is trained here is small, and its data is little
            attention_probs_dropout_prob=0.0,
        )
        self.queries = nn.Parameter(torch.randn(1, queries, dim) * 0.02)
        self.former = Blip2QFormerModel(config)
        self.to_llm = nn.Linear(dim, d_out)

    def forward(self, states: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        known = counted(mask, states)
        found = self.former(
            query_embeds=self.queries.expand(len(states), -1, -1),
            encoder_hidden_states=states,
            encoder_attention_mask=known.long(),
        ).last_hidden_state  # [B, M, D]
        made: Tensor = self.to_llm(found)
        return made, known.new_ones(made.shape[:2])
