"""What generators are asked for in a test: held-out compositions, put into words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from mmagent.pocket.world import words
from mmagent.pocket.world.scenes import Scene
from mmagent.pocket.world.sounds import Noise
from mmagent.pocket.world.videos import Clip

Spec = Scene | Clip | Noise
Draw = Callable[[Random], Spec]


@dataclass(frozen=True, slots=True)
class Asked:
    """Facts, their caption, and whether that is worded as no caption of a training is."""

    spec: Spec
    caption: str
    new: bool


def asked(kind: str, draw: Draw, n: int, seeds: str) -> list[Asked]:
    """`n` prompts of a kind, every other one in a new wording; a pure function of kind, `n` and seeds, any word."""
    random = Random(f"generators\0{seeds}\0{kind}")  # noqa: S311  # chance, not secrets
    drawn = [(draw(random), bool(number % 2)) for number in range(n)]
    return [Asked(spec, words.said(spec, random, tested=new), new) for spec, new in drawn]
