"""Pictures of the world: 64 × 64, one to three things on a plain background.

Three kinds: one thing, large or small; two things, one left of the other or above it; two or three of one thing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any, Literal, get_args

from mmagent.pocket.world.catalogue import catalogue
from mmagent.pocket.world.splits import Combination
from mmagent.pocket.world.sprites import lay, sprites

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

SIDE = 64
Size = Literal["small", "big"]
Relation = Literal["left of", "above"]
Kind = Literal["single", "pair", "count"]

KINDS: tuple[Kind, ...] = get_args(Kind)
SIZES: dict[Size, tuple[int, int]] = {"small": (16, 21), "big": (32, 40)}
IN_PAIR = 22, 28
IN_COUNT = {2: (21, 26), 3: (18, 22)}


@dataclass(frozen=True, slots=True)
class Placed:
    """A thing in a picture: the side of its longer edge and its centre, in pixels."""

    name: str
    size: int
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Scene:
    """A picture as facts: things (the one that is left or above first), how many of one, how they lie, on what.

    `size` is told of a single thing only, `relation` of a pair. `placed` and `shade` say how it was drawn.
    """

    background: str
    things: tuple[str, ...]
    count: int = 1
    size: Size | None = None
    relation: Relation | None = None
    placed: tuple[Placed, ...] = ()
    shade: tuple[int, int, int] = (0, 0, 0)

    @property
    def kind(self) -> Kind:
        """What the picture is about."""
        return "pair" if self.relation else "count" if self.count > 1 else "single"

    @property
    def combinations(self) -> tuple[Combination, ...]:
        """What is combined in it, for the splits."""
        found: list[Combination] = [("thing-background", name, self.background) for name in self.things]
        if self.relation:
            found.append(("pair", self.things[0], self.relation, self.things[1]))
        if self.count > 1:
            found.append(("thing-count", self.things[0], str(self.count)))
        return tuple(found)


def draw(
    random: Random, kind: Kind | None = None, allowed: Callable[[Iterable[Combination]], bool] | None = None
) -> Scene:
    """A scene by chance, of that kind or of any, whose combinations are allowed."""
    while True:
        chosen = random.choice(KINDS) if kind is None else kind
        scene = _arrange(_facts(random, chosen), random)
        if allowed is None or allowed(scene.combinations):
            return scene


def arranged(scene: Scene, random: Random) -> Scene:
    """The same facts, drawn anew by chance."""
    return _arrange(scene, random)


def render(scene: Scene) -> Array:
    """The picture, uint8 `[64, 64, 3]`."""
    import numpy as np

    colour = np.add(catalogue().backgrounds[scene.background], scene.shade).clip(0, 255).astype(np.uint8)
    canvas = np.empty((SIDE, SIDE, 3), np.uint8)
    canvas[...] = colour
    for item in scene.placed:
        sprite = sprites().of(item.name, item.size)
        height, width = sprite[0].shape[:2]
        lay(canvas, sprite, round(item.x - width / 2), round(item.y - height / 2))
    return canvas


def _facts(random: Random, kind: Kind) -> Scene:
    table = catalogue()
    background = random.choice(tuple(table.backgrounds))
    if kind == "pair":
        first, second = random.sample(table.things, 2)
        relation: Relation = random.choice(("left of", "above"))
        return Scene(background, (first.name, second.name), relation=relation)
    name = random.choice(table.things).name
    if kind == "count":
        return Scene(background, (name,), count=random.choice((2, 3)))
    return Scene(background, (name,), size=random.choice(("small", "big")))


def _arrange(scene: Scene, random: Random) -> Scene:
    shade = tuple(random.randint(-6, 6) for _ in range(3))
    if scene.kind == "single":
        low, high = SIZES[scene.size or "big"]
        places = [_place(scene.things[0], random.randint(low, high), random)]
    elif scene.kind == "pair":
        places = _pair(scene, random)
    else:
        places = _several(scene, random)
    return Scene(
        scene.background,
        scene.things,
        scene.count,
        scene.size,
        scene.relation,
        tuple(places),
        (shade[0], shade[1], shade[2]),
    )


def _place(name: str, size: int, random: Random) -> Placed:
    """Anywhere, whole."""
    half = size / 2
    return Placed(name, size, random.uniform(half, SIDE - half), random.uniform(half, SIDE - half))


def _pair(scene: Scene, random: Random) -> list[Placed]:
    """The first in the one half, the second in the other, near one line across it, so that the relation is plain."""
    sizes = [random.randint(*IN_PAIR) for _ in scene.things]
    along = [random.uniform(size / 2, SIDE / 2 - size / 2 + 2) for size in sizes]
    along[1] = SIDE - along[1]
    middle = random.uniform(20, SIDE - 20)
    across = [min(max(middle + random.uniform(-6, 6), size / 2), SIDE - size / 2) for size in sizes]
    if scene.relation == "left of":
        return [Placed(*item) for item in zip(scene.things, sizes, along, across)]
    return [Placed(name, size, x, y) for name, size, x, y in zip(scene.things, sizes, across, along)]


def _several(scene: Scene, random: Random) -> list[Placed]:
    """As many as there are, none over another."""
    low, high = IN_COUNT[scene.count]
    while True:
        places = [_place(scene.things[0], random.randint(low, high), random) for _ in range(scene.count)]
        pairs = [(one, other) for number, one in enumerate(places) for other in places[:number]]
        if all(max(abs(one.x - other.x), abs(one.y - other.y)) >= (one.size + other.size) / 2 for one, other in pairs):
            return places
