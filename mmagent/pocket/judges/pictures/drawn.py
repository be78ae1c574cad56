"""The pictures that the eye is trained on: scenes of the world, frames, and things at large, nonsense among them.

Scenes and frames are of all compositions, those too that generators never see: a judge that had never seen a cat on
blue might take it for nonsense. Things at large lie on any colour.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

from mmagent.pocket.judges.facts import NONE
from mmagent.pocket.judges.pictures.nonsense import KINDS, nonsense
from mmagent.pocket.world import scenes, videos
from mmagent.pocket.world.catalogue import catalogue
from mmagent.pocket.world.scenes import SIDE, Placed
from mmagent.pocket.world.sprites import LARGEST, lay, sprites

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

SMALLEST = 12
SPOILT = 0.4
"""How many of the things in a training picture are nonsense instead."""
OFTEN = (*KINDS, "blend", "blend", "faded")
"""Kinds of nonsense by how often they are drawn: what is hardest to tell from true things more often."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A picture uint8 `[64, 64, 3]` and what lies in it; what is nonsense is placed under the name NONE."""

    picture: Array
    placed: tuple[Placed, ...]


def training(random: Random) -> Drawn:
    """A training picture by chance."""
    chance = random.random()
    if chance < 0.04:
        return Drawn(rubbish(random), ())
    if chance < 0.27:
        scene = scenes.draw(random)
    elif chance < 0.4:
        scene = videos.frame(videos.draw(random), random.randrange(videos.N_FRAMES))
    else:
        scene = scenes.Scene("", (), placed=tuple(_at_large(random)))
    return spoilt(scene, random, SPOILT, OFTEN)


def spoilt(scene: scenes.Scene, random: Random, share: float, kinds: tuple[str, ...]) -> Drawn:
    """A scene in which such a share of the things, by chance, is nonsense of these kinds."""
    import numpy as np

    if scene.background:
        ground = np.add(catalogue().backgrounds[scene.background], scene.shade).clip(0, 255)
    else:
        ground = np.array([random.randint(0, 255) for _ in range(3)])
    canvas = np.empty((SIDE, SIDE, 3), np.uint8)
    canvas[...] = ground
    placed = []
    for item in scene.placed:
        bad = random.random() < share
        sprite = (
            nonsense(random, random.choice(kinds), item.size, ground) if bad else sprites().of(item.name, item.size)
        )
        height, width = sprite[0].shape[:2]
        left, top = round(item.x - width / 2), round(item.y - height / 2)
        lay(canvas, sprite, left, top)
        placed.append(Placed(NONE if bad else item.name, item.size, left + width / 2, top + height / 2))
    return Drawn(canvas, tuple(placed))


def rubbish(random: Random) -> Array:
    """A picture of nothing at all: noise of some grain in some contrast, or a colour that runs into another."""
    import numpy as np
    from PIL import Image as pil

    chance = np.random.default_rng(random.getrandbits(32))
    grain = random.choice((1, 2, 4, 8, 16))
    coarse = chance.uniform(0, 255, (SIDE // grain, SIDE // grain, 3)).astype(np.uint8)
    how = random.choice((pil.Resampling.NEAREST, pil.Resampling.BICUBIC))
    noise = np.asarray(pil.fromarray(coarse).resize((SIDE, SIDE), how), np.float32)
    share = random.uniform(0.2, 1.0)
    made: Array = (chance.uniform(0, 255, 3) * (1 - share) + noise * share).astype(np.uint8)
    return made


def _at_large(random: Random) -> list[Placed]:
    """Up to four things of any sizes, often the same, none over another by more than a little."""
    n = random.choice((0, 1, 1, 2, 2, 3, 4))
    largest = {0: 0, 1: LARGEST, 2: 34, 3: 28, 4: 24}[n]
    names = [thing.name for thing in catalogue().things]
    again = random.choice(names) if random.random() < 0.3 else ""
    placed: list[Placed] = []
    for _ in range(n * 8):
        size = random.randint(SMALLEST, largest)
        x, y = (random.uniform(size / 2, SIDE - size / 2) for _ in range(2))
        if all(max(abs(x - one.x), abs(y - one.y)) >= (size + one.size) / 2 - 3 for one in placed):
            placed.append(Placed(again or random.choice(names), size, x, y))
        if len(placed) == n:
            break
    return placed
