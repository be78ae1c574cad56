"""The networks: sounds and clouds of points to a few states that a projector reads.

Shapes: B media, S samples at 16 kHz, P points, L states of width D.
"""

from __future__ import annotations

import math

import torch
from torch import nn

RATE = 16_000
SECONDS = 2.0
N_STATES, WIDTH = 16, 128
"""Of two seconds of sound."""
SOLID_STATES = 3
_N_FFT, _HOP, _BANDS = 512, 250, 48
_RANKS = 32


class SoundEncoder(nn.Module):
    """Samples `[B, 32000]` to states `[B, 16, 128]`, one for each eighth of a second.

    A spectrogram in bands that are even on a scale of octaves, two-dimensional convolutions, then dilated ones along
    time (Lea et al. 2017). Loudness plays no part.
    """

    bands: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("bands", _octaves(), persistent=False)
        self.near = nn.Sequential(
            nn.Conv2d(1, 32, 5, stride=2, padding=2), nn.GroupNorm(4, 32), nn.GELU(),  # [B, 32, 24, 64]
            nn.Conv2d(32, 48, 3, stride=2, padding=1), nn.GroupNorm(4, 48), nn.GELU(),  # [B, 48, 12, 32]
            nn.Conv2d(48, 64, 3, stride=2, padding=1), nn.GroupNorm(4, 64), nn.GELU(),  # [B, 64, 6, 16]
        )  # fmt: skip
        self.along = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(64 * 6 if number == 0 else WIDTH, WIDTH, 3, padding=2**number, dilation=2**number),
                nn.GroupNorm(4, WIDTH), nn.GELU(),
            )
            for number in range(3)
        )  # fmt: skip

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        x = self.near(self._seen(samples)[:, None]).flatten(1, 2)  # [B, 64 * 6, 16]
        for number, layer in enumerate(self.along):
            x = layer(x) if number == 0 else x + layer(x)
        states: torch.Tensor = x.transpose(1, 2)
        return states

    def _seen(self, samples: torch.Tensor) -> torch.Tensor:
        """Levels in bands `[B, 48, 128]`, of mean 0 and deviation 1 in each sound."""
        window = torch.hann_window(_N_FFT, device=samples.device)
        power = torch.stft(samples, _N_FFT, _HOP, window=window, return_complex=True).abs().square()  # [B, F, T]
        peak = power.amax(dim=(1, 2), keepdim=True).clamp(min=1e-8)
        level = (self.bands @ (power / peak)).clamp(min=1e-6).log()[..., :128]
        mean, spread = level.mean(dim=(1, 2), keepdim=True), level.std(dim=(1, 2), keepdim=True)
        return (level - mean) / spread.clamp(min=1e-3)


class SolidEncoder(nn.Module):
    """Points `[B, P, 3]` to states `[B, 3, 128]`, the same however they are turned, moved, scaled and ordered.

    A PointNet (Qi et al. 2017, arXiv:1612.00593) that reads of each point how far off the nearest, … and the farthest
    of the others are. The states are means, deviations and maxima over points.
    """

    def __init__(self) -> None:
        super().__init__()
        self.each = nn.Sequential(
            nn.Linear(_RANKS + 1, WIDTH), nn.LayerNorm(WIDTH), nn.GELU(),
            nn.Linear(WIDTH, WIDTH), nn.LayerNorm(WIDTH), nn.GELU(), nn.Linear(WIDTH, WIDTH),
        )  # fmt: skip

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        each = self.each(_ranked(points))  # [B, P/8, 128]
        return torch.stack([each.mean(dim=1), each.std(dim=1), each.amax(dim=1)], dim=1)


def _ranked(points: torch.Tensor) -> torch.Tensor:
    """For every 8th point its distance from the middle and those to others at even ranks, `[B, P/8, 33]`."""
    centred = points - points.mean(dim=1, keepdim=True)
    centred = centred / centred.square().sum(dim=2).mean(dim=1).sqrt().clamp(min=1e-6)[:, None, None]
    some = centred[:, ::8]
    distances = torch.cdist(some, centred).sort(dim=2).values  # [B, P/8, P]
    ranks = torch.linspace(1, distances.shape[2] - 1, _RANKS, device=points.device).long()
    return torch.cat([some.norm(dim=2, keepdim=True), distances[:, :, ranks]], dim=2)


def _octaves() -> torch.Tensor:
    """Weights of frequencies in 48 bands, `[48, 257]`: triangles of at least two frequencies, from 60 Hz to 8 kHz."""
    frequency = torch.linspace(0, RATE / 2, _N_FFT // 2 + 1)
    centres = 60 * 2 ** (torch.arange(_BANDS) * math.log2(RATE / 2 / 60) / (_BANDS - 1))
    width = (centres * 0.12).clamp(min=RATE / _N_FFT)
    found: torch.Tensor = (1 - (frequency - centres[:, None]).abs() / width[:, None]).clamp(min=0)
    return found / found.sum(dim=1, keepdim=True)
