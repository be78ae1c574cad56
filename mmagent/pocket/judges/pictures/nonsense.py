"""What looks like a thing of the world and is none: made as sprites are, so that it can lie in a picture.

A sprite here is one square float32 array `[s, s, 4]`, colour premultiplied by alpha, 0 to 255.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Any

from mmagent.pocket.world.catalogue import catalogue
from mmagent.pocket.world.sprites import sprites

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

PLAIN = 20.0
"""Levels of 255 by which nonsense must differ from the things it is made of, on its ground, to be told from them."""


def nonsense(random: Random, kind: str, size: int, ground: Array) -> tuple[Array, Array]:
    """A sprite of that kind (a key of KINDS or UNSEEN), `size` pixels, as `lay` takes it.

    It differs from every thing that it was made of on a ground of that colour: what cannot be told is not asked.
    """
    import numpy as np

    make = (KINDS | UNSEEN)[kind]
    while True:
        first, second = (padded(thing.name, size) for thing in random.sample(catalogue().things, 2))
        made = make(random, first, second)
        if min(_difference(made, first, ground), _difference(made, second, ground)) >= PLAIN:
            whole = made.round().clip(0, 255).astype(np.uint16)
            return 255 - whole[..., 3:], np.minimum(whole[..., :3], whole[..., 3:])


def padded(name: str, size: int) -> Array:
    """A thing's sprite in the middle of a square."""
    import numpy as np

    cover, colour = sprites().of(name, size)
    height, width = cover.shape[:2]
    square = np.zeros((size, size, 4), np.float32)
    top, left = (size - height) // 2, (size - width) // 2
    square[top : top + height, left : left + width] = np.concatenate([colour, 255 - cover], axis=2)
    return square


def _difference(one: Array, other: Array, ground: Array) -> float:
    """Mean levels by which two sprites differ on a ground, where either is."""
    shown = [item[..., :3] + ground * (1 - item[..., 3:] / 255) for item in (one, other)]
    where = (one[..., 3] > 0) | (other[..., 3] > 0)
    return float(abs(shown[0] - shown[1])[where].mean())


def _noise(random: Random, first: Array, second: Array) -> Array:
    """Noise, fine or coarse, in the outline of a thing."""
    import numpy as np

    size, grain = len(first), random.randint(1, 4)
    cells = -(-size // grain)
    drawn = np.random.default_rng(random.getrandbits(32)).uniform(0, 1, (cells, cells, 3)).astype(np.float32)
    fine = drawn.repeat(grain, axis=0).repeat(grain, axis=1)[:size, :size]
    return np.concatenate([fine * first[..., 3:], first[..., 3:]], axis=2)


def _blend(random: Random, first: Array, second: Array) -> Array:
    """Two things laid through each other."""
    share = random.uniform(0.35, 0.65)
    return share * first + (1 - share) * second


def _faded(random: Random, first: Array, second: Array) -> Array:
    """A thing through which the ground is seen."""
    return first * random.uniform(0.3, 0.6)


def _chimera(random: Random, first: Array, second: Array) -> Array:
    """One half of a thing, the other of another."""
    import numpy as np

    return np.where(_half(random, len(first)), first, second)


def _halved(random: Random, first: Array, second: Array) -> Array:
    """One half of a thing."""
    import numpy as np

    return np.where(_half(random, len(first)), first, 0)


def _half(random: Random, size: int) -> Array:
    import numpy as np

    down, across = np.mgrid[:size, :size] - size * random.uniform(0.42, 0.58)
    sides = (down < 0, across < 0, down + across < 0, down < across)
    side: Array = random.choice(sides)[..., None]
    return side if random.random() < 0.5 else ~side


def _recoloured(random: Random, first: Array, second: Array) -> Array:
    """A thing in other colours: channels exchanged, or light and dark."""
    import numpy as np

    alpha = first[..., 3:]
    colour = first[..., random.choice(((1, 2, 0), (2, 0, 1), (2, 1, 0), (1, 0, 2), (0, 2, 1)))]
    return np.concatenate([alpha - colour if random.random() < 0.4 else colour, alpha], axis=2)


def _scrambled(random: Random, first: Array, second: Array) -> Array:
    """A thing cut into 2 × 2 or 3 × 3 tiles, none of which stays in its place."""
    import numpy as np

    n = random.choice((2, 3))
    side = -(-len(first) // n)
    whole = np.zeros((n * side, n * side, 4), np.float32)
    whole[: len(first), : len(first)] = first
    tiles = [whole[r * side : (r + 1) * side, c * side : (c + 1) * side] for r in range(n) for c in range(n)]
    step = random.randrange(1, n * n)
    moved = tiles[step:] + tiles[:step]
    rows = [np.concatenate(moved[row * n : (row + 1) * n], axis=1) for row in range(n)]
    return np.concatenate(rows)[: len(first), : len(first)]


def _melted(random: Random, first: Array, second: Array) -> Array:
    """A thing so blurred that little but its colours is left."""
    from PIL import Image as pil

    side = max(3, round(len(first) * random.uniform(0.12, 0.2)))
    return _through(first, side, pil.Resampling.BICUBIC)


def _mosaic(random: Random, first: Array, second: Array) -> Array:
    """A thing in a few coarse squares."""
    from PIL import Image as pil

    return _through(first, random.randint(3, 5), pil.Resampling.NEAREST)


def _sliced(random: Random, first: Array, second: Array) -> Array:
    """Stripes of one thing between stripes of another."""
    import numpy as np

    stripes = (np.arange(len(first)) // max(2, len(first) // 6)) % 2 == 0
    return np.where(stripes[:, None, None] if random.random() < 0.5 else stripes[None, :, None], first, second)


def _through(sprite: Array, side: int, back: Any) -> Array:
    """A sprite made small, `side` pixels, and large again."""
    import numpy as np
    from PIL import Image as pil

    def resized(channel: Array) -> Array:
        picture = pil.fromarray(channel).resize((side, side), pil.Resampling.BOX)
        return np.asarray(picture.resize((len(sprite), len(sprite)), back)).clip(0, 255)

    return np.stack([resized(np.ascontiguousarray(sprite[..., channel])) for channel in range(4)], axis=2)


Make = Callable[[Random, "Array", "Array"], "Array"]

KINDS: dict[str, Make] = {
    "noise": _noise, "blend": _blend, "faded": _faded, "chimera": _chimera, "halved": _halved,
    "recoloured": _recoloured, "scrambled": _scrambled, "melted": _melted,
}  # fmt: skip
UNSEEN: dict[str, Make] = {"mosaic": _mosaic, "sliced": _sliced}
"""Kinds that no judge was trained on: they show whether it refuses what it does not know."""
