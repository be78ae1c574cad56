"""What has to be right in what a generator made: pure functions of what was asked for and what a judge found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from mmagent.pocket.judges.facts import Facts, Seen
from mmagent.pocket.judges.verdict import verdict
from mmagent.pocket.world.scenes import Scene
from mmagent.pocket.world.words import Spec


def _always(spec: Any) -> bool:
    return True


def _single(spec: Any) -> bool:
    return bool(spec.kind == "single")


def _pair(spec: Any) -> bool:
    return bool(spec.kind == "pair")


def _several(spec: Any) -> bool:
    return bool(spec.kind == "count")


def _bent(spec: Any) -> bool:
    return bool(spec.pitch != "as it is")


@dataclass(frozen=True, slots=True)
class Measure:
    """Attributes that have to be right together, all if none is named, where they are asked about.

    `bar` is the least share of the judge's ceiling that will do.
    """

    name: str
    attributes: tuple[str, ...] = ()
    where: Callable[[Any], bool] = _always
    bar: float | None = None

    def right(self, spec: Spec, found: Facts) -> bool | None:
        """Whether they are; None where they were not asked about."""
        if not self.where(spec):
            return None
        told = verdict(spec, found)
        return all(told[name] for name in self.attributes or told)


PICTURES = (
    Measure("thing", ("thing",), _single, 0.90),
    Measure("background", ("background",), bar=0.90),
    Measure("two things", ("thing",), _pair, 0.80),
    Measure("relation", ("relation",), _pair, 0.85),
    Measure("count", ("count",), _several, 0.85),
    Measure("size", ("size",), _single),
    Measure("all together"),
)
"""A relation is right where both things are, too."""
GENEVAL = (
    Measure("single object", ("thing",), _single),
    Measure("two objects", ("thing",), _pair),
    Measure("counting", ("thing", "count"), _several),
    Measure("colour of background", ("thing", "background"), _single),
    Measure("position", ("thing", "relation"), _pair),
)
"""The tasks of GenEval (Ghosh et al. 2023, arXiv:2310.11513) as far as the world has them; colours are backgrounds'."""
CLIPS = (
    Measure("thing", ("thing",), bar=0.85),
    Measure("motion", ("motion",), bar=0.90),
    Measure("background", ("background",)),
    Measure("all together"),
)
SOUNDS = (
    Measure("thing", ("thing",), bar=0.90),
    Measure("how often", ("count",), bar=0.90),
    Measure("higher/lower", ("pitch",), _bent, 0.90),
    Measure("all together"),
)


def confusions(spec: Spec, found: Facts) -> Iterator[tuple[str, object, object]]:
    """Attribute by attribute, what was asked for and what was found; of things only where one was asked for."""
    if not isinstance(spec, Scene) or not isinstance(found, Seen):
        yield from ((name, getattr(spec, name), getattr(found, name)) for name in verdict(spec, found))
        return
    yield "background", spec.background, found.background
    if spec.relation:
        yield "relation", spec.relation, found.relation(*spec.things)
        return
    yield "thing", spec.things[0], found.thing
    yield "count", spec.count, len(found.spots)
    if spec.size:
        yield "size", spec.size, found.size
