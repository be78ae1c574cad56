"""Requests for several things in one answer, in order, and over two turns."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from random import Random

from mmagent.pocket.requests.cells import Drawer, Impossible, made
from mmagent.pocket.requests.request import OUTPUTS, Exchange, Request
from mmagent.pocket.world.scenes import Scene
from mmagent.pocket.world.words import article

SHOWN = "image", "sound", "video", "points"


def several(random: Random, n: int, *, tested: bool = False) -> Request:
    """A request for `n` things about one medium, two or three, each of another modality, in an order by chance."""
    drawer = Drawer(random, tested=tested)
    while True:
        given, wanted = random.choice(SHOWN), random.sample(OUTPUTS, n)
        about = drawer.source(given, sounding=True)
        with suppress(Impossible):
            return Request(f"{n} parts", (_joined(drawer, [drawer.exchange(given, one, about) for one in wanted]),))


def changed(random: Random, *, tested: bool = False) -> Request:
    """A picture that is asked for in words, and the same on another background in a second turn."""
    drawer = Drawer(random, tested=tested)
    while True:
        before = drawer.alone()
        with suppress(Impossible):
            after = drawer.found(partial(_on_another, drawer, before))
            asked = drawer.worded("now on", ground=after.background, tinted=article(after.background))
            return Request("second turn", (drawer.exchange("text", "image", before), Exchange(asked, (made(after),))))


def _on_another(drawer: Drawer, before: Scene) -> Scene:
    return Scene(drawer.ground(before.background), before.things, size=before.size)


def _joined(drawer: Drawer, each: list[Exchange]) -> Exchange:
    """Several turns about one medium as one."""
    within = [_within(one.words) for one in each]
    holes = dict(zip(("one", "two", "three"), within, strict=False))
    asked = drawer.worded("three" if len(each) == 3 else "two", One=each[0].words, **holes)
    return Exchange(asked, tuple(part for one in each for part in one.answer), each[0].shown)


def _within(words: str) -> str:
    """A sentence as it stands behind another's beginning."""
    return words if words.startswith("I ") else words[0].lower() + words[1:]
