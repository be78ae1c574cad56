"""The network that hears: a picture of frequencies to what it is of, how often and how high.

Shapes: B sounds, F = 64 bands, T frames, C classes (the last is none).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

WIDTH = 96


class Logits(NamedTuple):
    """What is told of each sound."""

    thing: torch.Tensor  # [B, C]
    times: torch.Tensor  # [B, 3], once to three times
    pitch: torch.Tensor  # [B, 3], in the order of the world's pitches


class Hearing(nn.Module):
    """`[B, 64, T]` in [0, 1] to Logits. Frequencies keep their places, so that pitch can be told; times do not."""

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.local = nn.Sequential(
            nn.Conv2d(1, 24, 5, stride=2, padding=2), nn.GroupNorm(4, 24), nn.ReLU(),  # [B, 24, 32, T/2]
            nn.Conv2d(24, 48, 3, stride=(2, 1), padding=1), nn.GroupNorm(8, 48), nn.ReLU(),  # [B, 48, 16, T/2]
            nn.Conv2d(48, 64, 3, stride=(2, 1), padding=1), nn.GroupNorm(8, 64), nn.ReLU(),  # [B, 64, 8, T/2]
        )  # fmt: skip
        self.along = nn.Sequential(
            nn.Conv1d(64 * 8, WIDTH, 3, padding=1), nn.GroupNorm(8, WIDTH), nn.ReLU(),
            nn.Conv1d(WIDTH, WIDTH, 5, padding=4, dilation=2), nn.GroupNorm(8, WIDTH), nn.ReLU(),
        )  # fmt: skip
        self.mixed = nn.Sequential(nn.Linear(2 * WIDTH, WIDTH), nn.ReLU())
        self.told = nn.Linear(WIDTH, n_classes + 6)

    def forward(self, bands: torch.Tensor) -> Logits:
        along = self.along(self.local(bands[:, None] * 2 - 1).flatten(1, 2))  # [B, WIDTH, T/2]
        told = self.told(self.mixed(torch.cat([along.mean(dim=2), along.amax(dim=2)], dim=1)))
        return Logits(told[:, 6:], told[:, :3], told[:, 3:6])
