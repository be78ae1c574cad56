"""Videos of the world: 8 frames of 64 × 64 in which one thing moves, grows or shrinks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any, Literal, get_args

from mmagent.pocket.world.catalogue import catalogue
from mmagent.pocket.world.scenes import SIDE, Placed, Scene, render
from mmagent.pocket.world.splits import Combination

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

N_FRAMES = 8
FPS = 8
Motion = Literal["left", "right", "up", "down", "grows", "shrinks", "bounces"]
MOTIONS: tuple[Motion, ...] = get_args(Motion)
SMALL, LARGE = (12, 15), (36, 42)


@dataclass(frozen=True, slots=True)
class Clip:
    """A video as facts: what moves how on what. `frames` says where it is in each, `shade` how the ground was drawn."""

    background: str
    thing: str
    motion: Motion
    frames: tuple[Placed, ...] = ()
    shade: tuple[int, int, int] = (0, 0, 0)

    @property
    def combinations(self) -> tuple[Combination, ...]:
        """What is combined in it, for the splits."""
        return ("thing-motion", self.thing, self.motion), ("thing-background", self.thing, self.background)


def draw(random: Random, allowed: Callable[[Iterable[Combination]], bool] | None = None) -> Clip:
    """A video by chance whose combinations are allowed."""
    table = catalogue()
    while True:
        clip = Clip(random.choice(tuple(table.backgrounds)), random.choice(table.things).name, random.choice(MOTIONS))
        if allowed is None or allowed(clip.combinations):
            return arranged(clip, random)


def arranged(clip: Clip, random: Random) -> Clip:
    """The same facts, drawn anew by chance."""
    shade = random.randint(-6, 6), random.randint(-6, 6), random.randint(-6, 6)
    return Clip(clip.background, clip.thing, clip.motion, tuple(_frames(clip, random)), shade)


def render_clip(clip: Clip) -> Array:
    """The frames, uint8 `[8, 64, 64, 3]`."""
    import numpy as np

    return np.stack([render(frame(clip, number)) for number in range(N_FRAMES)])


def frame(clip: Clip, number: int) -> Scene:
    """One frame as a scene."""
    return Scene(clip.background, (clip.thing,), placed=(clip.frames[number],), shade=clip.shade)


def _frames(clip: Clip, random: Random) -> list[Placed]:
    steps = [number / (N_FRAMES - 1) for number in range(N_FRAMES)]
    if clip.motion in ("grows", "shrinks"):
        first, last = random.randint(*SMALL), random.randint(*LARGE)
        if clip.motion == "shrinks":
            first, last = last, first
        x, y = (random.uniform(LARGE[1] / 2, SIDE - LARGE[1] / 2) for _ in range(2))
        return [Placed(clip.thing, round(first + (last - first) * step), x, y) for step in steps]
    size = random.randint(20, 28)
    across = random.uniform(size / 2, SIDE - size / 2)
    if clip.motion == "bounces":
        floor, top = SIDE - size / 2 - random.uniform(0, 3), size / 2 + random.uniform(0, 8)
        heights = [abs(math.cos(2 * math.pi * step)) for step in steps]  # down, up, down, up
        return [Placed(clip.thing, size, across, floor + (top - floor) * height) for height in heights]
    near, far = size / 2 + random.uniform(0, 5), SIDE - size / 2 - random.uniform(0, 5)
    start, end = (far, near) if clip.motion in ("left", "up") else (near, far)
    along = [start + (end - start) * step for step in steps]
    if clip.motion in ("left", "right"):
        return [Placed(clip.thing, size, place, across) for place in along]
    return [Placed(clip.thing, size, across, place) for place in along]
