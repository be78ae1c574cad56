"""How a thing moves, by where it is and how large in each frame. Nothing is learned here."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mmagent.pocket.judges.facts import NONE, Spot

USUAL = 34.0, 1.05
"""How far the world's things go in a video, pixels, and how much they grow, as a logarithm."""
ENOUGH, PLAINLY = 0.5, 0.6
"""Shares: of the usual that a motion must have, and of the largest motion that no other may reach."""
ASTRAY = 4.0
"""Pixels (root mean square) by which a thing may be off the way that it is said to go."""


def motion(track: Sequence[Spot | None]) -> str:
    """The motion of a thing that lies so in each frame (None: not found there); NONE if it is none of the world's.

    The way is fitted by a straight line and a bounce, the logarithm of the size by a line; the largest of these is
    the motion, if it is large enough and nothing else moves nearly as much.
    """
    import numpy as np

    seen = [(number, spot) for number, spot in enumerate(track) if spot is not None]
    if len(seen) < 5:
        return NONE
    time = np.array([number for number, _ in seen]) / (len(track) - 1)
    way = np.array([(spot.x, spot.y, math.log(spot.size)) for _, spot in seen])  # [T, 3]
    bounce = np.abs(np.cos(2 * np.pi * time))
    shapes = np.stack([np.ones(len(time)), time - 0.5, bounce], axis=1)
    fitted = np.linalg.lstsq(shapes, way, rcond=None)[0]
    _, (right, down, growth), (_, bounced, _) = fitted.tolist()
    astray = (shapes @ fitted - way)[:, :2]
    far, much = USUAL
    found = {
        "right": right / far, "left": -right / far, "down": down / far, "up": -down / far,
        "grows": growth / much, "shrinks": -growth / much, "bounces": -bounced / far,
    }  # fmt: skip
    (second, _), (most, name) = sorted((size, name) for name, size in found.items())[-2:]
    plain = most >= ENOUGH and second <= PLAINLY * most
    return name if plain and np.sqrt((astray**2).sum(axis=1).mean()) <= ASTRAY else NONE
