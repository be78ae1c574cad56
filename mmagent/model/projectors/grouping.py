"""Features gathered in stages into a few groups, which are the tokens that the LLM reads.

The grouping block is GroupViT's (Xu et al. 2022, arXiv:2202.11094, section 3.1, equations 3 to 6); NExT-GPT (Wu et al.
2024, arXiv:2309.05519, section 3) puts it between an encoder and an LLM, so that grids of features become concepts.
In each stage group tokens and segments attend to each other; then every segment goes to one group, and a group
becomes the mean of its segments. Groups without a segment keep their own token alone.
B pictures, L segments, G groups, D the width inside.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mmagent.model.projectors import counted


class _Stage(nn.Module):
    def __init__(self, dim: int, groups: int, layers: int, heads: int) -> None:
        super().__init__()
        self.tokens = nn.Parameter(torch.randn(groups, dim) * 0.02)
        layer = nn.TransformerEncoderLayer(
            dim, heads, 4 * dim, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.attend = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.norm_groups, self.norm_segments = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.to_queries, self.to_keys = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.to_values, self.to_out = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.mix = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

    def forward(self, segments: Tensor, known: Tensor) -> Tensor:
        tokens = self.tokens.expand(len(segments), -1, -1)  # [B, G, D]
        both = torch.cat([tokens, segments], dim=1)
        hidden = torch.cat([known.new_zeros(tokens.shape[:2]), ~known], dim=1)
        both = self.attend(both, src_key_padding_mask=hidden)
        groups, segments = self.norm_groups(both[:, : tokens.shape[1]]), self.norm_segments(both[:, tokens.shape[1] :])
        fit = self.to_queries(groups) @ self.to_keys(segments).transpose(1, 2) * groups.shape[-1] ** -0.5  # [B, G, L]
        soft = nn.functional.gumbel_softmax(fit, dim=1) if self.training else fit.softmax(dim=1)
        hard = torch.zeros_like(soft).scatter_(1, soft.argmax(dim=1, keepdim=True), 1.0)
        share = (hard + soft - soft.detach()) * known[:, None]  # one group each, with the gradient of the soft choice
        taken = share @ self.to_values(segments) / share.sum(dim=-1, keepdim=True).clamp(min=1.0)
        groups = groups + self.to_out(taken)
        made: Tensor = groups + self.mix(groups)
        return made


class Grouping(nn.Module):
    """Maps `[B, L, D_in]` to `[B, groups[-1], D_out]`."""

    def __init__(
        self, d_in: int, d_out: int, groups: tuple[int, ...] = (64, 8), layers: int = 2, dim: int = 768, heads: int = 8
    ) -> None:
        super().__init__()
        self.enter = nn.Linear(d_in, dim)
        self.stages = nn.ModuleList(_Stage(dim, n, layers, heads) for n in groups)
        self.norm, self.to_llm = nn.LayerNorm(dim), nn.Linear(dim, d_out)

    def forward(self, states: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        known = counted(mask, states)
        segments = self.enter(states)  # [B, L, D]
        for stage in self.stages:
            segments = stage(segments, known)
            known = known.new_ones(segments.shape[:2])
        made: Tensor = self.to_llm(self.norm(segments))
        return made, known
