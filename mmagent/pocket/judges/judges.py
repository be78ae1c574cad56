"""The judges by name: how each is trained, and how it is scored."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from mmagent.errors import MissingExtra, UnknownName
from mmagent.pocket.judges import shipped
from mmagent.pocket.judges.report import Report

if TYPE_CHECKING:
    from mmagent.training.loop import Recipe
    from mmagent.training.loop import Report as Told

Score = Callable[[int, Random], Report]


@dataclass(frozen=True, slots=True)
class Judge:
    """How a judge is trained: its task (with `net` and `classes`) and recipe; how it is scored, by what it judges."""

    task: Callable[[], Any]
    recipe: Recipe
    scores: Callable[[Path], Sequence[Score]]


def pictures() -> Judge:
    """The judge of pictures and videos."""
    from mmagent.pocket.judges.pictures.eye import Eye
    from mmagent.pocket.judges.pictures.score import score_pictures, score_videos
    from mmagent.pocket.judges.pictures.task import RECIPE, PictureTask

    def scores(folder: Path) -> Sequence[Score]:
        eye = Eye.load(folder)
        return (lambda n, random: score_pictures(eye, n, random)), (lambda n, random: score_videos(eye, n, random))

    return Judge(PictureTask, RECIPE, scores)


def sounds() -> Judge:
    """The judge of sounds."""
    from mmagent.pocket.judges.sounds.ear import Ear
    from mmagent.pocket.judges.sounds.score import score_sounds
    from mmagent.pocket.judges.sounds.task import RECIPE, SoundTask

    def scores(folder: Path) -> Sequence[Score]:
        ear = Ear.load(folder)
        return ((lambda n, random: score_sounds(ear, n, random)),)

    return Judge(SoundTask, RECIPE, scores)


def solids() -> Judge:
    """The judge of solids."""
    from mmagent.pocket.judges.solids.hand import Hand
    from mmagent.pocket.judges.solids.score import score_solids
    from mmagent.pocket.judges.solids.task import RECIPE, SolidTask

    def scores(folder: Path) -> Sequence[Score]:
        hand = Hand.load(folder)
        return ((lambda n, random: score_solids(hand, n, random)),)

    return Judge(SolidTask, RECIPE, scores)


JUDGES: dict[str, Callable[[], Judge]] = {"pictures": pictures, "sounds": sounds, "solids": solids}


def judge(name: str) -> Judge:
    """The judge of that name; UnknownName lists them, MissingExtra says what training and judging need."""
    if name not in JUDGES:
        raise UnknownName(f"no judge {name!r}; there are {', '.join(JUDGES)}")
    try:
        return JUDGES[name]()
    except ModuleNotFoundError as error:
        raise MissingExtra(error.name or "torch", "train", f"the judge of {name}") from error


def train(name: str, folder: Path, minutes: float = math.inf, report: Told | None = None) -> Path | None:
    """Train a judge in `folder`, from where it was left; its weights, or None if the minutes did not suffice.

    The run is kept in a folder of the judge's name, the weights lie beside it.
    """
    from mmagent.training.loop import fit

    found = judge(name)
    task = found.task()
    step = fit(task, found.recipe, folder / name, minutes=minutes, report=report)
    return shipped.save(task.net, name, task.classes, folder) if step >= found.recipe.steps else None


def score(name: str, n: int, seeds: str, folder: Path = shipped.WEIGHTS) -> Iterator[Report]:
    """The reports of a judge on `n` media of each set and `n` of each kind of nonsense, drawn from seeds of that name."""
    for scored in judge(name).scores(folder):
        yield scored(n, Random(f"judges\0{seeds}\0{name}"))  # noqa: S311  # chance, not secrets
