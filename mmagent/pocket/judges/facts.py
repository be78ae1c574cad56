"""What a judge says it finds, as facts. Everything that is nothing of the world is NONE."""

from __future__ import annotations

from dataclasses import dataclass

NONE = "none"
BIG = 26.5
"""Pixels to the longer edge from which a thing alone is big: between the sizes at which the world draws them."""


@dataclass(frozen=True, slots=True)
class Spot:
    """Something in a picture: a thing's name or NONE, its longer edge and its centre in pixels.

    `sure` is the probability that it is that thing.
    """

    name: str
    size: float
    x: float
    y: float
    sure: float = 1.0


@dataclass(frozen=True, slots=True)
class Seen:
    """What a picture shows: its background's name or NONE, and what lies on it, from left to right."""

    background: str
    spots: tuple[Spot, ...]

    @property
    def thing(self) -> str:
        """The one thing there is, however often; NONE where there is none, another, or nonsense beside it."""
        names = {spot.name for spot in self.spots}
        return names.pop() if len(names) == 1 else NONE

    @property
    def size(self) -> str:
        """Whether the one thing there is is small or big."""
        if len(self.spots) != 1:
            return NONE
        return "big" if self.spots[0].size >= BIG else "small"

    def relation(self, first: str, second: str) -> str:
        """How the first thing lies to the second; NONE unless both are there once, and one way plainly."""
        places = {spot.name: spot for spot in self.spots}
        if len(self.spots) != 2 or places.keys() != {first, second}:
            return NONE
        right, down = places[second].x - places[first].x, places[second].y - places[first].y
        if max(abs(right), abs(down)) < PLAINLY or abs(abs(right) - abs(down)) < 2:
            return NONE
        if abs(right) > abs(down):
            return "left of" if right > 0 else "right of"
        return "above" if down > 0 else "below"


PLAINLY = 10.0
"""Pixels that two centres must lie apart along one axis for a relation to be told."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What a video shows: its background, the one thing in it, and how that moves; each may be NONE."""

    background: str
    thing: str
    motion: str


@dataclass(frozen=True, slots=True)
class Heard:
    """What a sound is of, how often it is heard and at which pitch; thing may be NONE, and then the others are too."""

    thing: str
    count: int
    pitch: str


@dataclass(frozen=True, slots=True)
class Felt:
    """Whose shape a cloud of points is, or NONE."""

    thing: str


Facts = Seen | Watched | Heard | Felt
