"""Linear maps with GELU between them, the same for every token.

In LLaVA-1.5 (Liu et al. 2023, arXiv:2310.03744, section 3.2) two layers, as wide as the LLM. With `fold`, so many
neighbouring tokens are laid side by side first and become one, as MiniGPT-v2 does with four (Chen et al. 2023,
arXiv:2310.09478, section 2.1).
"""

from __future__ import annotations

from torch import Tensor, nn

from mmagent.model.projectors import counted


class MLP(nn.Module):
    """Maps `[B, L, D_in]` to `[B, ceil(L / fold), D_out]`; a folded token counts if any of its parts does."""

    def __init__(self, d_in: int, d_out: int, layers: int = 2, fold: int = 1) -> None:
        super().__init__()
        self.fold = fold
        steps: list[nn.Module] = [nn.Linear(d_in * fold, d_out)]
        for _ in range(layers - 1):
            steps += [nn.GELU(), nn.Linear(d_out, d_out)]
        self.map = nn.Sequential(*steps)

    def forward(self, states: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        known = counted(mask, states)
        if self.fold > 1:
            missing = -states.shape[1] % self.fold
            states = nn.functional.pad(states * known[..., None], (0, 0, 0, missing))
            known = nn.functional.pad(known, (0, missing)).reshape(len(known), -1, self.fold).any(dim=-1)
            states = states.reshape(*known.shape, -1)  # [B, L / fold, D_in · fold]
        made: Tensor = self.map(states)
        return made, known
