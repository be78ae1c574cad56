"""The Fréchet distance between two sets of media, in the space of an extractor (Heusel et al. 2017).

Both sets are taken for Gaussians of their features. FID is this with an Inception network; here the extractor is
whatever gives the features, and its name belongs beside the number.
"""

from __future__ import annotations

from dataclasses import dataclass

from mmagent.errors import IntakeError

ENOUGH = 10_000
"""Media in each set that Heusel et al. recommend at least."""


@dataclass(frozen=True, slots=True)
class Distance:
    """The squared distance, how many media it rests on, the features' width, and what to know before comparing it."""

    value: float
    n: tuple[int, int]
    width: int
    warnings: tuple[str, ...]


def frechet(one: object, other: object) -> Distance:
    """|μ₁ − μ₂|² + tr(Σ₁ + Σ₂ − 2 (Σ₁Σ₂)^½) of features `[N, D]` and `[M, D]`, two or more each.

    With centred features A and B, tr (Σ₁Σ₂)^½ is the nuclear norm of A Bᵀ / √((N−1)(M−1)). So no matrix is squared and
    none is inverted: it is sound for fewer media than the width, where a matrix square root is not.
    """
    import numpy as np

    sets = [np.asarray(rows, dtype=float) for rows in (one, other)]
    for rows in sets:
        if rows.ndim != 2 or len(rows) < 2 or not np.isfinite(rows).all():
            raise IntakeError(f"a set is finite features [media, width] of two media or more; got shape {rows.shape}")
    (n, width), (m, also) = sets[0].shape, sets[1].shape
    if width != also:
        raise IntakeError(f"the sets have features of width {width} and {also}; use the same extractor for both")
    means = [rows.mean(axis=0) for rows in sets]
    # R of a QR decomposition has the covariance of the set and at most D rows.
    spread = [
        np.asarray(np.linalg.qr((rows - middle) / np.sqrt(len(rows) - 1), mode="r"))
        for rows, middle in zip(sets, means)
    ]
    shared = np.linalg.svd(spread[0] @ spread[1].T, compute_uv=False).sum()
    apart = means[0] - means[1]
    value = float(apart @ apart + sum(np.square(item).sum() for item in spread) - 2 * shared)
    return Distance(max(0.0, value), (n, m), width, tuple(_warnings(min(n, m), width)))


def _warnings(n: int, width: int) -> list[str]:
    found = []
    if n <= width:
        found.append(f"{n} media in a space of width {width}: the covariance is singular and the distance too large")
    if n < ENOUGH:
        found.append(f"{n} media: the distance is biased upwards below {ENOUGH:,}; compare sets of the same size alone")
    return found
