"""Sounds as logarithms of power in bands of frequency, and back.

Shapes: B sounds of S samples at 16 kHz, F bands, T frames.
"""

from __future__ import annotations

from functools import cache

import torch

from mmagent.pocket.world.sounds import RATE

N_FFT, HOP, N_BANDS = 1024, 320, 64
LOWEST, HIGHEST = 40.0, 8000.0
FLOOR = 7.0
"""Below the loudest of a sound, in units of log10 of power, where hearing ends: 70 dB."""
QUIET = 1e-6
"""The power below which there is only silence, however much louder it is than the rest."""


def log_mel(samples: torch.Tensor) -> torch.Tensor:
    """Sounds `[B, S]` as `[B, F, T]`, 0 at the floor and 1 at the loudest of each; silence is 0."""
    power = mel(spectrum(samples).abs())  # [B, F, T]
    loudest = power.amax(dim=(1, 2), keepdim=True)
    level = (power / loudest.clamp(min=QUIET)).clamp(min=10**-FLOOR).log10()
    return level / FLOOR + 1


def mel(magnitude: torch.Tensor) -> torch.Tensor:
    """The power in each band, `[B, F, T]`, of magnitudes `[B, N_FFT / 2 + 1, T]`."""
    return bands() @ magnitude.square()


def spectrum(samples: torch.Tensor) -> torch.Tensor:
    """The short-time spectrum, complex `[B, N_FFT / 2 + 1, T]`."""
    return torch.stft(samples, N_FFT, HOP, window=_window(), return_complex=True)


def sounding(power: torch.Tensor, n_samples: int, rounds: int, seed: int) -> torch.Tensor:
    """Sounds `[B, S]` whose power in bands is about `[B, F, T]`: what a vocoder without knowledge can do.

    Griffin and Lim 1984, from random phases, after the pseudo-inverse of the bands.
    """
    magnitude = (_from_bands() @ power).clamp(min=0).sqrt()
    drawn = torch.rand(magnitude.shape, generator=torch.Generator().manual_seed(seed))
    phases = torch.polar(torch.ones_like(magnitude), drawn * 2 * torch.pi)
    for _ in range(rounds):
        phases = torch.polar(torch.ones_like(magnitude), spectrum(_back(magnitude * phases, n_samples)).angle())
    return _back(magnitude * phases, n_samples)


def _back(spectra: torch.Tensor, n_samples: int) -> torch.Tensor:
    return torch.istft(spectra, N_FFT, HOP, window=_window(), length=n_samples)


@cache
def _window() -> torch.Tensor:
    return torch.hann_window(N_FFT)


@cache
def _from_bands() -> torch.Tensor:
    inverse: torch.Tensor = torch.linalg.pinv(bands())
    return inverse


@cache
def bands() -> torch.Tensor:
    """The weights of frequencies in bands, `[F, N_FFT / 2 + 1]`: triangles, evenly spaced on the mel scale."""
    ends = torch.tensor([LOWEST, HIGHEST])
    low, high = 2595 * torch.log10(1 + ends / 700)
    corners = 700 * (10 ** (torch.linspace(float(low), float(high), N_BANDS + 2) / 2595) - 1)
    frequency = torch.linspace(0, RATE / 2, N_FFT // 2 + 1)
    # A band must not be narrower than the distance of two frequencies, or it may hold none.
    width = (corners[1:] - corners[:-1]).clamp(min=RATE / N_FFT)
    rising = (frequency - corners[1:-1, None]) / width[:-1, None] + 1
    falling = (corners[1:-1, None] - frequency) / width[1:, None] + 1
    return torch.minimum(rising, falling).clamp(min=0)
