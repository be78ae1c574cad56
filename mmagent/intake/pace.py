"""From the times at which frames begin to one even rate, which is all that a Video knows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from mmagent.intake.limits import Limits

FASTEST_HELD = 60.0
_CLOCK = 0.0051
"""Half a tick of the coarsest clock, that of GIF: hundredths of a second."""


def even(times: Sequence[float], stated: float | None, size: int, name: str, limits: Limits) -> tuple[float, list[int]]:
    """Frames a second, and for each moment of that rate the frame to show.

    `times` are the frames' beginnings and the end of the last, in seconds; `stated` is the file's own rate;
    `size` the bytes of a frame. Frames that come evenly are each kept once. Uneven ones (a screen recording, a
    GIF with pauses) are held for as long as they last, at the rate of their faster quarter, at most 60:

    >>> even([0.0, 0.1, 0.2, 0.5], None, 1, "gif", Limits())
    (10.0, [0, 1, 2, 2, 2])
    """
    count, length = len(times) - 1, times[-1] - times[0]
    mean = round(count / length, 3) if length > 0 else 25.0
    for rate in (stated, mean):
        if rate and _comes_evenly(times, rate):
            return rate, list(range(count))
    gaps = sorted(end - start for start, end in pairwise(times))
    rate = round(min(1 / max(gaps[count // 4], 1 / FASTEST_HELD), FASTEST_HELD), 3)
    limits.check("video_seconds", length, name)
    shown = max(round(length * rate), 1)
    limits.check("frames", shown, name)
    limits.check("decoded_bytes", shown * size, name)
    order, frame = [], 0
    for index in range(shown):
        moment = times[0] + (index + 0.5) / rate
        while frame + 1 < count and times[frame + 1] <= moment:
            frame += 1
        order.append(frame)
    return rate, order


def _comes_evenly(times: Sequence[float], rate: float) -> bool:
    slack = min(0.1 / rate + _CLOCK, 0.5 / rate + 0.0011)  # and many containers count milliseconds
    return all(abs(time - times[0] - index / rate) < slack for index, time in enumerate(times[:-1]))
