"""Clouds of points that are no solid's. A cloud here is float32 `[1024, 3]` about the origin, about 1 in size."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Any

from mmagent.pocket.world import solids

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]


def nonsense(random: Random, kind: str) -> Array:
    """A cloud of that kind (a key of KINDS or UNSEEN), made of two different solids or of none."""
    import numpy as np

    make = (KINDS | UNSEEN)[kind]
    while True:
        drawn = solids.draw(random), solids.draw(random)
        if drawn[0].thing != drawn[1].thing:
            break
    chance = np.random.default_rng(random.getrandbits(32))
    return make(chance, *(solids.render(one) for one in drawn)).astype(np.float32)


def _noise(chance: np.random.Generator, first: Array, second: Array) -> Array:
    """Points anywhere in a blur, a cube, or a ball."""
    import numpy as np

    kind = chance.integers(3)
    if kind == 0:
        return chance.normal(0, 0.4, (len(first), 3))
    inside: Array = chance.uniform(-1, 1, (len(first), 3))
    if kind == 1:
        return inside
    ball: Array = (
        inside / np.linalg.norm(inside, axis=1, keepdims=True) * chance.uniform(0, 1, (len(first), 1)) ** (1 / 3)
    )
    return ball


def _blend(chance: np.random.Generator, first: Array, second: Array) -> Array:
    """Half of the points of one solid, half of another's."""
    return _chosen(chance.uniform(size=len(first)) < chance.uniform(0.35, 0.65), first, second)


def _faded(chance: np.random.Generator, first: Array, second: Array) -> Array:
    """A solid of which half the points are noise."""
    noise = chance.uniform(-1, 1, (len(first), 3))
    return _chosen(chance.uniform(size=len(first)) < chance.uniform(0.4, 0.65), first, noise)


def _chimera(chance: np.random.Generator, first: Array, second: Array) -> Array:
    """One side of a solid, the other of another."""
    way = chance.normal(size=3)
    upper, lower = first[first @ way > 0], second[second @ way <= 0]
    return _as_many(chance, _joined(upper, lower), len(first))


def _halved(chance: np.random.Generator, first: Array, second: Array) -> Array:
    """One side of a solid."""
    return _as_many(chance, first[first @ chance.normal(size=3) > 0], len(first))


def _melted(chance: np.random.Generator, first: Array, second: Array) -> Array:
    """A solid whose points have left their places."""
    return first + chance.normal(0, chance.uniform(0.12, 0.25), first.shape)


def _sliced(chance: np.random.Generator, first: Array, second: Array) -> Array:
    """Slices of one solid between slices of another."""
    way = chance.normal(size=3)
    slices = [
        ((item @ way) * chance.uniform(2, 4)).astype(int) % 2 == number for number, item in enumerate((first, second))
    ]
    return _as_many(chance, _joined(first[slices[0]], second[slices[1]]), len(first))


def _walk(chance: np.random.Generator, first: Array, second: Array) -> Array:
    """A way that leads nowhere."""
    steps: Array = chance.normal(0, 1, (len(first), 3)).cumsum(axis=0)
    steps -= steps.mean(axis=0)
    way: Array = steps / abs(steps).max()
    return way


def _chosen(which: Array, first: Array, second: Array) -> Array:
    import numpy as np

    return np.where(which[:, None], first, second)


def _joined(*parts: Array) -> Array:
    import numpy as np

    return np.concatenate(parts)


def _as_many(chance: np.random.Generator, points: Array, n: int) -> Array:
    """So many of the points, some of them more than once if there are fewer."""
    chosen: Array = points[chance.permutation(max(n, len(points)))[:n] % len(points)]
    return chosen


Make = Callable[["np.random.Generator", "Array", "Array"], "Array"]

KINDS: dict[str, Make] = {
    "noise": _noise, "blend": _blend, "faded": _faded, "chimera": _chimera, "halved": _halved, "melted": _melted,
}  # fmt: skip
UNSEEN: dict[str, Make] = {"sliced": _sliced, "walk": _walk}
"""Kinds that no judge was trained on: they show whether it refuses what it does not know."""
