"""Which background a picture has, by the colour of what lies beside the things in it. Nothing is learned here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from mmagent.pocket.judges.facts import NONE, Spot
from mmagent.pocket.world.catalogue import catalogue

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

NEAR = 31.0
"""How far a pixel may be from a background's colour, levels of 255: less than half the way between any two of them."""
MOST = 0.85
"""The share of the pixels beside the things that must be near it."""


def background(picture: Array, spots: Iterable[Spot]) -> str:
    """The name of the background of a picture uint8 `[64, 64, 3]`; NONE where it is another colour, or several."""
    import numpy as np

    side = len(picture)
    middles = np.arange(side) + 0.5
    beside = np.ones((side, side), bool)
    for spot in spots:
        half = spot.size / 2 + 2
        beside &= ~((abs(middles[:, None] - spot.y) < half) & (abs(middles - spot.x) < half))
    pixels = picture[beside if beside.any() else ...].reshape(-1, 3).astype(np.float32)
    for name, colour in catalogue().backgrounds.items():
        if (np.linalg.norm(pixels - colour, axis=1) < NEAR).mean() >= MOST:
            return name
    return NONE
