"""Retrieval out of a matrix of similarities: recall@k and mean average precision."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mmagent.errors import IntakeError
from mmagent.evaluation.score import Score, mean, share

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]


def retrieval(similarity: object, relevant: object | None = None, ks: Sequence[int] = (1, 5, 10)) -> dict[str, Score]:
    """`recall@k` for each k, and `map`, over queries `[Q]` among candidates `[C]`.

    `similarity` is `[Q, C]`, `relevant` a bool matrix of that shape; without it, candidate i alone is right for query
    i. recall@k is the share of queries with a right one among the first k, as image–text retrieval reports it. Equal
    similarities rank right ones last, so that a model that tells nothing apart gets nothing for it. A k above the
    number of candidates, of which every query would be right, is left out.
    """
    import numpy as np

    likeness = np.asarray(similarity, dtype=float)  # [Q, C]
    if likeness.ndim != 2 or not likeness.size or np.isnan(likeness).any():
        raise IntakeError(f"similarities are numbers [queries, candidates], at least one; got shape {likeness.shape}")
    right = np.eye(*likeness.shape) > 0 if relevant is None else np.asarray(relevant, dtype=bool)
    if right.shape != likeness.shape or not right.any(axis=1).all():
        raise IntakeError(
            f"every query needs a right candidate: similarities are {likeness.shape}, what is right {right.shape}"
        )
    order = np.lexsort((right, -likeness), axis=1)
    hits = np.take_along_axis(right, order, axis=1)  # [Q, C], best first
    scores = {}
    for k in ks:
        found = share(int(hits[:, :k].any(axis=1).sum()), len(hits))
        if found is not None and k <= hits.shape[1]:
            scores[f"recall@{k}"] = found
    precision = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
    averages = (precision * hits).sum(axis=1) / hits.sum(axis=1)
    return scores | {"map": mean(averages.tolist())}


def cosine(one: object, other: object) -> Array:
    """The cosines `[N, M]` of rows `[N, D]` and `[M, D]`; a row of zeros is like nothing."""
    import numpy as np

    sides = []
    for rows in (one, other):
        table = np.asarray(rows, dtype=float)
        length = np.linalg.norm(table, axis=1, keepdims=True)
        sides.append(table / np.where(length > 0, length, 1.0))
    if sides[0].shape[1] != sides[1].shape[1]:
        raise IntakeError(f"vectors of width {sides[0].shape[1]} and {sides[1].shape[1]} are of different spaces")
    return np.asarray(sides[0] @ sides[1].T)
