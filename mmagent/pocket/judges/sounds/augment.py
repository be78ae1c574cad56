"""What rooms, microphones and vocoders do to sounds that leaves them what they are; the judge must not mind it.

Shapes: B sounds of S samples at 16 kHz.
"""

from __future__ import annotations

from random import Random

import torch

from mmagent.pocket.judges.sounds.mel import mel, sounding, spectrum
from mmagent.pocket.world.sounds import RATE

SHIFT = 0.05
"""Seconds by which a sound may begin later or earlier."""
VOCODED = 0.2
"""How many of the sounds go through bands of power and back."""
ROUNDS = 4


def augmented(samples: torch.Tensor, random: Random) -> torch.Tensor:
    """Sounds `[B, S]` a little other than they were."""
    chance = torch.Generator().manual_seed(random.getrandbits(62))
    n, length = samples.shape

    def uniform(low: float, high: float, *shape: int) -> torch.Tensor:
        return torch.empty(n, *shape).uniform_(low, high, generator=chance)

    out = _equalised(samples, uniform(-4, 4, 5))
    most = round(SHIFT * RATE)
    out = torch.stack([
        _shifted(row, random.randint(-most, most)) if random.random() < 0.7 else row for row in out
    ])  # fmt: skip
    again = random.sample(range(n), round(n * VOCODED))
    power = mel(spectrum(out[again]).abs())
    out[again] = sounding(power, length, ROUNDS, random.getrandbits(62))
    peak = out.abs().amax(dim=1, keepdim=True).clamp(min=1e-6)
    ground = torch.randn(out.shape, generator=chance) * peak * 10 ** uniform(-4, -1.8, 1)
    return (out + ground) * 10 ** uniform(-1, 0, 1)


def _equalised(samples: torch.Tensor, gains: torch.Tensor) -> torch.Tensor:
    """Octaves about 250, 500, 1000, 2000, 4000 Hz louder or softer by `gains` `[B, 5]`, in dB."""
    spectra = torch.fft.rfft(samples)
    octave = (torch.fft.rfftfreq(samples.shape[1], 1 / RATE).clamp(min=1) / 250).log2().clamp(0, 3.999)
    below = octave.long()
    level = torch.lerp(gains[:, below], gains[:, below + 1], octave - below)
    out: torch.Tensor = torch.fft.irfft(spectra * 10 ** (level / 20), samples.shape[1])
    return out


def _shifted(row: torch.Tensor, by: int) -> torch.Tensor:
    """Later by so many samples, silence before; earlier if negative."""
    out = torch.zeros_like(row)
    if by >= 0:
        out[by:] = row[: len(row) - by]
    else:
        out[:by] = row[-by:]
    return out
