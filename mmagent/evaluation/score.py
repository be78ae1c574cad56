"""A number with what it rests on: how many were counted, and an interval in which the true value lies 19 times of 20.

Shares get the interval of Wilson (1927), everything else the percentile bootstrap (Efron 1979) over records, with a
fixed seed, so that the same predictions always give the same report.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mmagent.errors import IntakeError

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

Z = 1.959963984540054
"""The two-sided 95 % point of the normal distribution."""
RESAMPLES = 1000
_CHUNK = 100


@dataclass(frozen=True, slots=True)
class Score:
    """`value` over `n` records (or choices, or words: the metric says which), with its 95 % interval if it has one."""

    value: float
    n: int
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        interval = "" if self.low is None or self.high is None else f" [{self.low:.3f}, {self.high:.3f}]"
        return f"{self.value:.3f}{interval}"


def wilson(hits: int, n: int) -> tuple[float, float]:
    """The interval of a share.

    >>> [round(bound, 3) for bound in wilson(8, 10)]
    [0.49, 0.943]
    """
    share, z2 = hits / n, Z * Z
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return max(0.0, min(centre - half, share)), min(1.0, max(centre + half, share))


def share(hits: int, n: int) -> Score | None:
    """How many of `n`; None of none, since that is no number."""
    return Score(hits / n, n, *wilson(hits, n)) if n else None


def mean(values: Sequence[float]) -> Score:
    """The mean of one value a record, with a bootstrap interval; IntakeError of none."""
    return pooled([(value, 1.0) for value in values], lambda sums: sums[0] / sums[1])


def ratio(parts: Sequence[tuple[float, float]]) -> Score | None:
    """The sum of the first over the sum of the second, as in errors over words; None if the second is 0."""
    if not any(whole for _, whole in parts):
        return None
    return pooled(parts, lambda sums: sums[0] / sums[1] if sums[1] else math.nan)


def pooled(statistics: Sequence[Sequence[float]], value: Callable[[Sequence[float]], float]) -> Score:
    """A value of summed statistics, such as BLEU of n-gram counts, with a bootstrap interval over the records `[N, K]`.

    A resample whose value is NaN (nothing to divide by) is left out of the interval.
    """
    import numpy as np

    if not statistics:
        raise IntakeError("there is nothing to score; no record was answered or none has a reference")
    table = np.asarray(statistics, dtype=float)  # [N, K]
    n = len(table)
    rng = np.random.default_rng(0)
    drawn: list[float] = []
    for _ in range(RESAMPLES // _CHUNK):  # in pieces, so that a million records do not take gigabytes
        counts = rng.multinomial(n, np.full(n, 1 / n), size=_CHUNK)  # [R, N]
        drawn += [value(row) for row in (counts @ table).tolist()]
    found = value(table.sum(axis=0).tolist())
    known = [item for item in drawn if not math.isnan(item)]
    if not known or n == 1:
        return Score(found, n)
    low, high = np.quantile(known, (0.025, 0.975)).tolist()
    return Score(found, n, min(low, found), max(high, found))


def known(scores: Mapping[str, Score | None]) -> dict[str, Score]:
    """Those that are numbers."""
    return {name: score for name, score in scores.items() if score is not None}
