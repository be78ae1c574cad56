"""The table of things: names, pictures, sounds, solids. Read from `catalogue.yaml`, which a person can read too."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from mmagent.errors import UnknownName

RGB = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Thing:
    """A thing: the names that people give it, the key of its picture, the recordings of its sound, its solid."""

    names: tuple[str, ...]
    icon: str
    takes: tuple[str, ...] = ()
    solid: str = ""

    @property
    def name(self) -> str:
        """The first of its names, by which it is known everywhere."""
        return self.names[0]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The world's things and backgrounds, in the order of the table."""

    things: tuple[Thing, ...]
    backgrounds: dict[str, RGB]

    def thing(self, name: str) -> Thing:
        """The thing of that name, any of its names; UnknownName lists them all."""
        for thing in self.things:
            if name in thing.names:
                return thing
        raise UnknownName(f"no thing {name!r} is in the world; it has {', '.join(thing.name for thing in self.things)}")

    @property
    def sounding(self) -> tuple[Thing, ...]:
        """The things that have a sound."""
        return tuple(thing for thing in self.things if thing.takes)

    @property
    def solid(self) -> tuple[Thing, ...]:
        """The things that have a shape in space."""
        return tuple(thing for thing in self.things if thing.solid)


@cache
def catalogue() -> Catalogue:
    """The table as it is shipped."""
    import yaml

    data = yaml.safe_load((Path(__file__).parent / "catalogue.yaml").read_text("utf-8"))
    things = tuple(
        Thing(
            tuple(row["name"]),
            row["icon"],
            tuple(take.rstrip("*") for take in row.get("sound", ())),
            row.get("solid", ""),
        )
        for row in data["things"]
    )
    return Catalogue(things, {name: (red, green, blue) for name, (red, green, blue) in data["backgrounds"].items()})
