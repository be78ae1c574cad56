"""Sounds of the world: two seconds at 16 kHz, a thing heard once to three times, higher or lower than it is.

There are few recordings of each thing, so takes are varied: pitch a little, gain, filters, place in time, and a
quiet ground of noise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import TYPE_CHECKING, Any, Literal, get_args

from mmagent.fetch import fetch
from mmagent.pocket.world.catalogue import catalogue
from mmagent.pocket.world.splits import Combination

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

RATE = 16_000
SECONDS = 2.0
LONGEST = {1: 1.4, 2: 0.8, 3: 0.55}
"""Seconds that one of so many may last."""
Pitch = Literal["lower", "as it is", "higher"]
PITCHES: tuple[Pitch, ...] = get_args(Pitch)
SEMITONES: dict[Pitch, float] = {"lower": -6.0, "as it is": 0.0, "higher": 6.0}


@dataclass(frozen=True, slots=True)
class Noise:
    """A sound as facts: what is heard, how often, at what pitch. `seed` says how it was varied."""

    thing: str
    count: int = 1
    pitch: Pitch = "as it is"
    seed: int = 0

    @property
    def combinations(self) -> tuple[Combination, ...]:
        """What is combined in it, for the splits. Once and as it is, everything is known."""
        found: list[Combination] = []
        if self.count > 1:
            found.append(("sound-count", self.thing, str(self.count)))
        if self.pitch != "as it is":
            found.append(("sound-pitch", self.thing, self.pitch))
        return tuple(found)


def draw(random: Random, allowed: Callable[[Iterable[Combination]], bool] | None = None) -> Noise:
    """A sound by chance whose combinations are allowed."""
    while True:
        noise = Noise(
            random.choice(catalogue().sounding).name,
            random.choice((1, 2, 3)),
            random.choice(("as it is", "as it is", "lower", "higher")),
            random.getrandbits(32),
        )
        if allowed is None or allowed(noise.combinations):
            return noise


def render(noise: Noise, semitones: float | None = None) -> Array:
    """The samples, float32 `[32000]`, at most 0.9 in size. `semitones` bends it so far instead of by its pitch."""
    import numpy as np

    random = Random(noise.seed)  # noqa: S311  # chance, not secrets
    take = random.choice(catalogue().thing(noise.thing).takes)
    about = SEMITONES[noise.pitch] + random.uniform(-0.5, 0.5)
    once = _filtered(_once(take, round(about if semitones is None else semitones, 1), noise.count), random)
    n_all = round(SECONDS * RATE)
    made = np.zeros(n_all, np.float32)
    gap = (SECONDS - 0.05) / noise.count
    for number in range(noise.count):
        spare = max(0.0, gap - len(once) / RATE)
        start = round((0.02 + number * gap + random.uniform(0, min(spare, 0.12))) * RATE)
        part = once[: n_all - start]
        made[start : start + len(part)] += part * random.uniform(0.85, 1.0)
    made *= random.uniform(0.5, 0.9) / max(float(np.abs(made).max()), 1e-6)
    ground = np.random.default_rng(noise.seed).standard_normal(n_all).astype(np.float32)
    return (made + ground * 10 ** random.uniform(-4.0, -3.0)).clip(-1, 1).astype(np.float32)


@cache
def _take(name: str) -> Array:
    """A recording from where it begins to be heard, mono at 16 kHz, at full size."""
    import numpy as np
    import soundfile
    import soxr

    samples, rate = soundfile.read(fetch("sonic-pi-samples") / f"{name}.flac", dtype="float32", always_2d=True)
    mono = soxr.resample(samples.mean(axis=1), rate, RATE)
    heard = np.flatnonzero(np.abs(mono) > 0.05 * np.abs(mono).max())
    begun: Array = mono[max(0, int(heard[0]) - 80) :][: 4 * RATE]
    scaled: Array = begun / np.abs(begun).max()
    return scaled


@cache
def _once(name: str, semitones: float, count: int) -> Array:
    """A take at another pitch (and so at another speed), cut to what it may last, faded out."""
    import numpy as np
    import soxr

    bent = soxr.resample(_take(name), RATE * 2 ** (semitones / 12), RATE)[: round(LONGEST[count] * RATE)]
    fade = min(len(bent), round((0.08 if count > 1 else 0.3) * RATE))
    bent[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
    return bent.astype(np.float32)  # type: ignore[no-any-return]  # soxr is not typed


def _filtered(samples: Array, random: Random) -> Array:
    """A shelf of up to 6 dB up or down above about 1 kHz, as rooms and microphones differ."""
    import numpy as np

    tilt = 10 ** (random.uniform(-6, 6) / 20)
    spectrum = np.fft.rfft(samples)
    frequency = np.fft.rfftfreq(len(samples), 1 / RATE)
    high = 1 / (1 + (1000 / np.maximum(frequency, 1)) ** 2)
    return np.fft.irfft(spectrum * (1 + (tilt - 1) * high), len(samples)).astype(np.float32)
