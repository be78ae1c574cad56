"""Sound at another rate, or with another number of channels."""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from mmagent import Audio, Constraint, tool

A = TypeVar("A", bound=Audio)


@tool(name="resample.v1", kind="converter", cost=0.02, lossy=False)
def resample(
    audio: A, rate: int = 16_000, channels: Literal[1, 2] | None = None
) -> Annotated[A, Constraint(rate="$rate", channels="$channels")]:
    """Change the rate of a sound (soxr, high quality) and, if asked, its channels; speech stays speech.

    One channel is the mean of all; two are that mean twice, unless there are two already. Sound that is as
    asked for comes back itself. A lower rate or fewer channels hold less, yet it is not marked lossy and routes
    may insert it: a port that names its rate and channels can use no more than they hold.
    """
    if audio.rate == rate and channels in (None, audio.channels):
        return audio
    import numpy as np
    import soxr

    samples = audio.array  # [T, C]
    if channels not in (None, audio.channels):
        samples = np.repeat(audio.mono()[:, None], channels, axis=1)  # [T, channels]
    if audio.rate != rate:
        samples = soxr.resample(samples, audio.rate, rate, quality="HQ")
    return type(audio)(samples, rate)
