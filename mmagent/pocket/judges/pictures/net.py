"""The networks of the eye: one finds where something lies and how large it is, another looks at it and names it.

The first tells of each cell of 4 × 4 pixels how near it is to the centre of something, whatever it is (Zhou et al. 2019,
Objects as Points, arXiv:1904.07850, without classes). The second is shown each thing at one size, so that it need
learn no sizes and places. Shapes: B pictures, 16 × 16 cells, N things, C classes (the last is none).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

CELL = 4
SIZE = 24.0
"""Pixels that a predicted size of 0 stands for; sizes are told as logarithms of shares of it."""
SHOWN, MARGIN = 32, 1.2
"""Pixels to a side at which a thing is looked at, and how much more than the thing is shown."""


class Cells(NamedTuple):
    """What is told of each cell."""

    centre: torch.Tensor  # [B, 16, 16], logits
    size: torch.Tensor  # [B, 16, 16], log of pixels / SIZE
    offset: torch.Tensor  # [B, 2, 16, 16], x and y from the middle of the cell, in cells


class Finder(nn.Module):
    """Pictures `[B, 3, 64, 64]` in [0, 1] to Cells."""

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Sequential(
            nn.PixelUnshuffle(CELL),  # [B, 48, 16, 16]
            nn.Conv2d(48, 48, 3, padding=1), nn.GroupNorm(8, 48), nn.ReLU(), _Block(48),
        )  # fmt: skip
        self.coarse = nn.Sequential(
            nn.Conv2d(48, 64, 3, stride=2, padding=1), nn.GroupNorm(8, 64), nn.ReLU(),  # [B, 64, 8, 8]
            _Block(64, spread=2), nn.Conv2d(64, 48, 1), nn.Upsample(scale_factor=2),
        )  # fmt: skip
        self.joined = nn.Sequential(
            nn.Conv2d(48, 48, 3, padding=1), nn.GroupNorm(8, 48), nn.ReLU(), nn.Conv2d(48, 4, 1)
        )

    def forward(self, pictures: torch.Tensor) -> Cells:
        fine = self.fine(pictures * 2 - 1)
        told = self.joined(fine + self.coarse(fine))
        return Cells(told[:, 0] - 4, told[:, 1], told[:, 2:])  # centres are rare: begin with none


class Namer(nn.Module):
    """Things `[N, 3, 32, 32]` in [0, 1] to logits `[N, C]`."""

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.PixelUnshuffle(2),  # [N, 12, 16, 16]
            nn.Conv2d(12, 48, 3, padding=1), nn.GroupNorm(8, 48), nn.ReLU(), _Block(48),
            nn.Conv2d(48, 80, 3, stride=2, padding=1), nn.GroupNorm(8, 80), nn.ReLU(), _Block(80),  # [N, 80, 8, 8]
            nn.Conv2d(80, 80, 3, stride=2, padding=1), nn.GroupNorm(8, 80), nn.ReLU(),  # [N, 80, 4, 4]
            nn.Flatten(), nn.Linear(80 * 16, 96), nn.ReLU(), nn.Linear(96, n_classes),
        )  # fmt: skip

    def forward(self, things: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.layers(things * 2 - 1)
        return logits


class Sight(nn.Module):
    """Both, about 0.55 M parameters."""

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.find, self.name = Finder(), Namer(n_classes)


def shown(pictures: torch.Tensor, picture: torch.Tensor, place: torch.Tensor, size: torch.Tensor) -> torch.Tensor:
    """Things as they are looked at, `[N, 3, 32, 32]`: in which picture `[N]`, at x and y `[N, 2]`, how large `[N]`, pixels."""
    if not len(picture):
        return pictures.new_zeros(0, 3, SHOWN, SHOWN)
    side = pictures.shape[-1]
    theta = torch.zeros(len(picture), 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = size * MARGIN / side
    theta[:, :, 2] = place * 2 / side - 1
    grid = functional.affine_grid(theta, [len(picture), 3, SHOWN, SHOWN], align_corners=False)
    return functional.grid_sample(pictures[picture], grid, padding_mode="border", align_corners=False)


class _Block(nn.Module):
    """Two convolutions beside the identity."""

    def __init__(self, width: int, spread: int = 1) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1), nn.GroupNorm(8, width), nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=spread, dilation=spread), nn.GroupNorm(8, width),
        )  # fmt: skip

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return torch.relu(states + self.inner(states))
