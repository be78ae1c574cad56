"""What sounds like things of the world and is none. Sounds here are float32 `[32000]`."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Any

import torch

from mmagent.pocket.judges.sounds.mel import log_mel, mel, sounding, spectrum
from mmagent.pocket.world import sounds
from mmagent.pocket.world.sounds import RATE

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

PLAIN = 0.045
"""How far nonsense must be from all that it is made of to be told from it: a share of 70 dB, mean over what is heard."""
HEARD = 0.4
"""What is heard is within 42 dB of the loudest."""


def nonsense(random: Random, kind: str) -> Array:
    """A sound of that kind (a key of KINDS or UNSEEN); it differs plainly from every sound that it was made of."""
    make = (KINDS | UNSEEN)[kind]
    while True:
        drawn = sounds.draw(random), sounds.draw(random)
        if drawn[0].thing == drawn[1].thing:
            continue
        first, second = (sounds.render(one) for one in drawn)
        made = make(random, first, second)
        if _difference(made, first, second) >= PLAIN:
            return made


def _difference(made: Array, *others: Array) -> float:
    """How far a sound is from the nearest of others."""
    bands = log_mel(torch.stack([torch.from_numpy(item) for item in (made, *others)]))
    heard = torch.maximum(bands[:1], bands[1:]) > HEARD  # [others, F, T]
    apart = ((bands[:1] - bands[1:]).abs() * heard).sum(dim=(1, 2)) / heard.sum(dim=(1, 2)).clamp(min=1)
    return float(apart.min())


def _noise(random: Random, first: Array, second: Array) -> Array:
    """Noise of some colour, at rest or as loud from moment to moment as a thing."""
    import numpy as np

    noise = _coloured(random, len(first))
    if random.random() < 0.5:
        noise *= np.convolve(np.abs(first), np.ones(400, np.float32) / 400, "same")
    return _levelled(noise, random)


def _blend(random: Random, first: Array, second: Array) -> Array:
    """Two things at once, equally loud."""
    return _levelled(first / _loudness(first) + second / _loudness(second) * 10 ** random.uniform(-0.15, 0.15), random)


def _drowned(random: Random, first: Array, second: Array) -> Array:
    """A thing in noise that is as loud as it, or louder."""
    noise = _coloured(random, len(first))
    return _levelled(first / _loudness(first) + noise / _loudness(noise) * 10 ** random.uniform(0.0, 0.5), random)


def _chimera(random: Random, first: Array, second: Array) -> Array:
    """One thing's low and another's high frequencies."""
    import numpy as np

    spectra = np.fft.rfft(first / _loudness(first)), np.fft.rfft(second / _loudness(second))
    frequency = np.fft.rfftfreq(len(first), 1 / RATE)
    low = 1 / (1 + (frequency / (400 * 2 ** random.uniform(0, 2.5))) ** 8)
    return _levelled(np.fft.irfft(spectra[0] * low + spectra[1] * (1 - low), len(first)).astype(np.float32), random)


def _spliced(random: Random, first: Array, second: Array) -> Array:
    """One thing in the first second, another in the second."""
    made = (first / _loudness(first)).copy()
    half = len(made) // 2
    made[half:] = second[: len(made) - half] / _loudness(second)
    return _levelled(made, random)


def _mirrored(random: Random, first: Array, second: Array) -> Array:
    """High for low: the spectrum turned about 2 or 4 kHz."""
    import numpy as np

    spectrum_, top = np.fft.rfft(first), random.choice((4000, 8000)) * len(first) // RATE
    turned = np.zeros_like(spectrum_)
    turned[1:top] = spectrum_[top - 1 : 0 : -1]
    return _levelled(np.fft.irfft(turned, len(first)).astype(np.float32), random)


def _melted(random: Random, first: Array, second: Array) -> Array:
    """A thing whose frequencies and moments run together."""
    power = mel(spectrum(torch.from_numpy(first)[None]).abs())
    high, wide = random.choice(((11, 1), (1, 25), (9, 15)))
    padding = high // 2, wide // 2
    smooth = torch.nn.functional.avg_pool2d(power[:, None], (high, wide), 1, padding)[:, 0]
    made: Array = sounding(smooth, len(first), 4, random.getrandbits(62))[0].numpy()
    return _levelled(made, random)


def _tones(random: Random, first: Array, second: Array) -> Array:
    """Pure tones that no thing of the world has, one to three times."""
    import numpy as np

    time = np.arange(len(first), dtype=np.float32) / RATE
    pitches = [100 * 2 ** random.uniform(0, 5) for _ in range(random.randint(1, 3))]
    chord = sum(np.sin(2 * math.pi * pitch * time) for pitch in pitches)
    times = random.randint(1, 3)
    fade = np.exp(-(time % (2 / times)) * random.uniform(2, 10))
    return _levelled((chord * fade).astype(np.float32), random)


def _rung(random: Random, first: Array, second: Array) -> Array:
    """A thing multiplied by a tone."""
    import numpy as np

    time = np.arange(len(first), dtype=np.float32) / RATE
    return _levelled(first * np.sin(2 * math.pi * random.uniform(300, 1500) * time), random)


def _stuttered(random: Random, first: Array, second: Array) -> Array:
    """A thing cut into pieces of 20 to 60 ms that are put together in another order."""
    import numpy as np

    n = round(random.uniform(0.02, 0.06) * RATE)
    pieces = [first[start : start + n] for start in range(0, len(first), n)]
    random.shuffle(pieces)
    return _levelled(np.concatenate(pieces), random)


def _coloured(random: Random, n: int) -> Array:
    """Noise whose power falls with frequency to some power, white to brown."""
    import numpy as np

    white = np.random.default_rng(random.getrandbits(32)).standard_normal(n)
    fall = np.maximum(np.fft.rfftfreq(n, 1 / RATE), 30) ** -random.uniform(0, 1)
    return np.fft.irfft(np.fft.rfft(white) * fall, n).astype(np.float32)


def _loudness(samples: Array) -> float:
    """Root mean square of the loudest tenth of the sound."""
    import numpy as np

    powers = np.sort((samples[: len(samples) // 160 * 160].reshape(-1, 160) ** 2).mean(axis=1))
    return max(float(np.sqrt(powers[-len(powers) // 10 :].mean())), 1e-6)


def _levelled(samples: Array, random: Random) -> Array:
    import numpy as np

    return (samples * random.uniform(0.5, 0.9) / max(float(np.abs(samples).max()), 1e-6)).astype(np.float32)


Make = Callable[[Random, "Array", "Array"], "Array"]

KINDS: dict[str, Make] = {
    "noise": _noise, "blend": _blend, "drowned": _drowned, "chimera": _chimera, "spliced": _spliced,
    "mirrored": _mirrored, "melted": _melted, "tones": _tones,
}  # fmt: skip
UNSEEN: dict[str, Make] = {"rung": _rung, "stuttered": _stuttered}
"""Kinds that no judge was trained on: they show whether it refuses what it does not know."""
