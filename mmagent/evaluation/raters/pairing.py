"""Which answers stand side by side, in which order and on which side: a pure function of predictions and seed."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from blake3 import blake3
from pydantic import BaseModel, ConfigDict, ValidationError

from mmagent.errors import IntakeError
from mmagent.evaluation.prediction import Prediction
from mmagent.evaluation.report import SYSTEM

Side = Literal["left", "right"]


@dataclass(frozen=True, slots=True)
class Pair:
    """Answers of the first and the second system to one request; `left` says which of them (0 or 1) is on the left."""

    number: int
    answers: tuple[Prediction, Prediction]
    left: int

    @property
    def sides(self) -> tuple[tuple[int, Prediction], tuple[int, Prediction]]:
        """Left and right: the system's number and its answer."""
        one, other = self.left, 1 - self.left
        return (one, self.answers[one]), (other, self.answers[other])


class Placed(BaseModel):
    """A pair in the key: which question it was, and which system is on the left."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    left: Literal[0, 1]


class Key(BaseModel):
    """What un-blinds the votes of a page. It is kept away from raters."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    page: str
    systems: tuple[str, str]
    pairs: dict[str, Placed]

    @classmethod
    def of(cls, pairs: Sequence[Pair], systems: tuple[str, str]) -> Key:
        """The key of these pairs; `page` is a digest of them, so that votes of another page are told."""
        shown = [(item.number, item.left, *(answer.key for answer in item.answers)) for item in pairs]
        return cls(
            page=blake3(repr(shown).encode()).hexdigest()[:16],
            systems=systems,
            pairs={str(item.number): Placed(id=item.answers[0].id, left=1 if item.left else 0) for item in pairs},
        )

    @classmethod
    def load(cls, path: str | Path) -> Key:
        """A key that was saved; IntakeError if the file is none."""
        try:
            return cls.model_validate_json(Path(path).read_bytes())
        except (OSError, ValidationError) as error:
            raise IntakeError(f"{path} is no key of a page: {str(error).splitlines()[0]}") from None


def pair(one: Sequence[Prediction], other: Sequence[Prediction], seed: int = 0, limit: int | None = None) -> list[Pair]:
    """The questions that both answered, shuffled, each answer on a side that the seed draws.

    Half of the pairs have the first system on the left, so that a habit of choosing a side helps neither. Questions
    are the same if id and settings are, the system's name aside; if none are, if the ids are. IntakeError if nothing
    pairs, or an id is there several times.
    """
    found = _matched(_by(one, settings=True), _by(other, settings=True))
    found = found or _matched(_by(one, settings=False), _by(other, settings=False))
    if not found:
        raise IntakeError("the two have no question in common; run both on the same data")
    shuffle = random.Random(seed)  # noqa: S311  # it has to be repeatable, not secret
    shuffle.shuffle(found)
    found = found[:limit]
    sides = [number % 2 for number in range(len(found))]
    shuffle.shuffle(sides)
    return [Pair(number, answers, left) for number, (answers, left) in enumerate(zip(found, sides), 1)]


def _matched(
    one: Mapping[object, Prediction], other: Mapping[object, Prediction]
) -> list[tuple[Prediction, Prediction]]:
    return [(answer, other[about]) for about, answer in one.items() if about in other]


def _by(predictions: Sequence[Prediction], *, settings: bool) -> dict[object, Prediction]:
    found: dict[object, Prediction] = {}
    for item in predictions:
        rest = tuple(sorted((name, value) for name, value in item.settings.items() if name != SYSTEM))
        about = (item.id, rest if settings else ())
        if about in found:
            raise IntakeError(
                f"{item.id} was answered several times, under {found[about].settings} and {item.settings}; "
                "pair predictions of one run each"
            )
        found[about] = item
    return found
