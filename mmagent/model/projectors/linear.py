"""One linear map, the same for every token (LLaVA: Liu et al. 2023, arXiv:2304.08485, section 4.1)."""

from __future__ import annotations

from torch import Tensor, nn

from mmagent.model.projectors import counted


class Linear(nn.Module):
    """Maps `[B, L, D_in]` to `[B, L, D_out]`."""

    def __init__(self, d_in: int, d_out: int) -> None:
        super().__init__()
        self.map = nn.Linear(d_in, d_out)

    def forward(self, states: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self.map(states), counted(mask, states)
