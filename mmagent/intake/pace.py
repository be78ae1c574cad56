"""From the times at which frames begin to one even rate, which is all that a Video knows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from mmagent.intake.limits import Limits

FASTEST_HELD = 60.0
_TICK = 0.0011
"""Containers that count in milliseconds round every time to one."""


def even(times: Sequence[float], stated: float | None, size: int, name: str, limits: Limits) -> tuple[float, list[int]]:
    """Frames a second, and for each moment of that rate the frame to show.

    `times` are the frames' beginnings and the end of the last, in seconds; `stated` is the file's own rate;
    `size` the bytes of a frame. Frames that come evenly are each kept once. Uneven ones (a screen recording, a
    GIF with pauses) are held for as long as they last, at the rate of the shortest, at most 60:

    >>> even([0.0, 0.1, 0.2, 0.5], None, 1, "gif", Limits())
    (10.0, [0, 1, 2, 2, 2])
    """
    count, length = len(times) - 1, times[-1] - times[0]
    mean = round(count / length, 3) if length > 0 else 25.0
    for rate in (stated, mean):
        if rate and all(abs(time - times[0] - i / rate) < 0.5 / rate + _TICK for i, time in enumerate(times[:-1])):
            return rate, list(range(count))
    gaps = [end - start for start, end in pairwise(times)]
    rate = round(min(1 / max(min(gaps), 1 / FASTEST_HELD), FASTEST_HELD), 3)
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
