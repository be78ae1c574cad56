"""The network that feels: a cloud of points to what it is the shape of.

A PointNet (Qi et al. 2017, arXiv:1612.00593) whose points are told not by where they lie, which turning changes, but by
how far the others lie from them: the shape distribution D2 (Osada et al. 2002) of each point. Shapes: B clouds of P
points, A of them looked from, C classes (the last is none).
"""

from __future__ import annotations

import torch
from torch import nn

N_BINS = 24
FARTHEST = 3.0
"""Distance of the last bin, in root mean squares of the points' distances from their middle."""
EVERY = 4
"""One in so many points is looked from."""


class Feeling(nn.Module):
    """`[B, P, 3]` to logits `[B, C]`."""

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.each = nn.Sequential(
            nn.Linear(N_BINS + 1, 96), nn.LayerNorm(96), nn.ReLU(), nn.Linear(96, 128), nn.LayerNorm(128), nn.ReLU()
        )
        self.told = nn.Sequential(nn.Linear(3 * 128, 128), nn.ReLU(), nn.Linear(128, n_classes))

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        each = self.each(surroundings(points))  # [B, A, 128]
        together = torch.cat([each.mean(dim=1), each.std(dim=1), each.amax(dim=1)], dim=1)
        logits: torch.Tensor = self.told(together)
        return logits


def surroundings(points: torch.Tensor) -> torch.Tensor:
    """For some points their distance from the middle, and shares of all points by distance from them, `[B, A, N_BINS + 1]`.

    The same however the cloud is turned, mirrored, moved and scaled.
    """
    centred = points - points.mean(dim=1, keepdim=True)
    scale = centred.square().sum(dim=2).mean(dim=1).sqrt().clamp(min=1e-6)  # [B]
    centred = centred / scale[:, None, None]
    seen_from = centred[:, ::EVERY]
    bins = (torch.cdist(seen_from, centred) * (N_BINS / FARTHEST)).long().clamp(max=N_BINS - 1)  # [B, A, P]
    shares = torch.zeros(*bins.shape[:2], N_BINS).scatter_add_(2, bins, torch.ones(bins.shape))
    return torch.cat([seen_from.norm(dim=2, keepdim=True), shares * (N_BINS / points.shape[1])], dim=2)
