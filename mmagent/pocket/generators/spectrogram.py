"""Sounds of the world as the sound generator's networks see them: log-mel spectrograms, differentiable, on sheets.

They are those that `mmagent.diffusion` paints: natural logarithms of magnitudes, times downwards. A hop of 250 samples
makes exactly 128 frames of two seconds, which halve well; 16 ms are fine enough to tell one beat from the next.
Shapes: B sounds, N samples, T = 128 frames, M = 64 bins.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from random import Random
from typing import TYPE_CHECKING, Any

from mmagent.diffusion.log_mel import FLOOR
from mmagent.pocket.world import sounds, splits
from mmagent.pocket.world.sounds import RATE, SECONDS, Noise

if TYPE_CHECKING:
    import numpy as np
    import torch

    Array = np.ndarray[Any, np.dtype[Any]]

HOP, N_FFT, N_BINS = 250, 1024, 64
N_FRAMES = round(SECONDS * RATE) // HOP
MEAN, SCALE = -6.25, 2.25
"""Mean and deviation of the world's spectrograms, in nepers, rounded to numbers that float16 holds."""
_DARK, _BRIGHT = -10.0, 1.0


def drawn(random: Random, n: int, *, tested: bool = False) -> list[Noise]:
    """Sounds by chance that are trained on, or of which something is held out."""
    return [sounds.draw(random, splits.tested if tested else splits.trained) for _ in range(n)]


def rendered(noises: Iterable[Noise]) -> torch.Tensor:
    """Their samples, `[B, 32000]`."""
    import numpy as np
    import torch

    return torch.from_numpy(np.stack([sounds.render(noise) for noise in noises]))


def log_mel(samples: torch.Tensor) -> torch.Tensor:
    """The spectrograms `[B, N / 250, M]` of samples `[B, N]`, N a multiple of 250 above 387; gradients reach these.

    What `mmagent.diffusion.log_mel` makes of one sound without gradients.
    """
    import torch

    around = (N_FFT - HOP) // 2
    padded = torch.nn.functional.pad(samples, (around, around), mode="reflect")
    spectra = torch.stft(padded, N_FFT, HOP, window=_window(), center=False, return_complex=True)  # [B, F, T]
    return (_bands() @ spectra.abs()).clamp(min=FLOOR).log().mT


@cache
def _window() -> torch.Tensor:
    import torch

    with torch.inference_mode(False):  # one made within could be in no graph that gradients go back through
        return torch.hann_window(N_FFT)


@cache
def _bands() -> torch.Tensor:
    """The weights of frequencies in bins, `[M, F]`."""
    import torch
    from transformers.audio_utils import mel_filter_bank

    weights = mel_filter_bank(N_FFT // 2 + 1, N_BINS, 0.0, RATE / 2, RATE, norm="slaney", mel_scale="slaney")
    with torch.inference_mode(False):
        return torch.from_numpy(weights.T).float()


def sheet(*rows: torch.Tensor) -> Array:
    """Rows of spectrograms `[B, T, M]` as one grey picture, uint8: times to the right, high frequencies above."""
    import torch

    light = (torch.cat([row.flatten(0, 1) for row in rows]) - _DARK) / (_BRIGHT - _DARK)  # [R · B · T, M]
    pixels = light.clamp(0, 1).mul(255).round().to(torch.uint8)
    picture: Array = pixels.reshape(len(rows), -1, N_BINS).mT.flip(1).flatten(0, 1).numpy()  # [R · M, B · T]
    return picture
