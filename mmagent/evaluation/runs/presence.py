"""A presence probe out of any catalogue of media and what they show: balanced yes/no questions (POPE, Li et al. 2023).

A model that answers from habit and not from the medium says yes where something often, or in such company, is there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from mmagent.errors import IntakeError
from mmagent.training.data import Folder, Record, Reference, Shown, Turn, Words
from mmagent.training.data.permutation import Permutation

Strategy = Literal["random", "popular", "adversarial"]
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)
NOUNS = {"image": "image", "video": "video", "audio": "recording", "speech": "recording"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A medium and everything of the catalogue's vocabulary that is in it."""

    media: Reference
    things: Set[str]


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    media: str
    path: str
    things: list[str]


def catalogue(path: str | Path, media: str | Path | None = None) -> list[Entry]:
    """The entries of a JSONL file, a line each: `{"media": "image", "path": "1.png", "things": ["cat", "red ball"]}`.

    Paths are relative to `media`, the file's folder if not given. IntakeError names a line that is wrong.
    """
    folder = Folder(Path(path).parent if media is None else media)
    entries = []
    try:
        lines = Path(path).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise IntakeError(f"cannot read the catalogue {path}: {error}") from None
    for number, line in enumerate(lines, 1):
        try:
            found = _Line.model_validate_json(line)
            entries.append(Entry(folder.file(found.path, found.media), frozenset(found.things)))
        except (ValidationError, IntakeError) as error:
            reason = str(error) if isinstance(error, IntakeError) else error.errors()[0]["msg"]
            raise IntakeError(f"{path}: line {number}: {reason}") from None
    return entries


class Presence:
    """Questions about what is there and what is not, as many of each, up to `k` of both for a medium.

    What is not there is drawn at `random`; or it is the most `popular` of the catalogue; or, `adversarial`, what is
    most often together with the things that are there. A medium that shows nothing, or everything, has no questions.
    """

    def __init__(
        self, entries: Sequence[Entry], strategy: Strategy = "random", k: int = 3, seed: int = 0, name: str = "presence"
    ) -> None:
        if strategy not in STRATEGIES:
            raise IntakeError(f"what is not there is chosen by one of {', '.join(STRATEGIES)}, not {strategy!r}")
        self.name = f"{name}-{strategy}"
        self._asked: list[tuple[Entry, str, bool]] = []
        often = Counter(thing for entry in entries for thing in entry.things)
        together = {thing: Counter[str]() for thing in often}
        for entry in entries:
            for thing in entry.things:
                together[thing].update(entry.things)
        for number, entry in enumerate(entries):
            there = _drawn(sorted(entry.things), seed, number, "there")
            absent = _drawn(sorted(often.keys() - entry.things), seed, number, "absent")
            if strategy == "popular":
                absent.sort(key=lambda thing: -often[thing])  # stable: equal ones stay as drawn
            elif strategy == "adversarial":
                near = sum((together[thing] for thing in there), Counter[str]())
                absent.sort(key=lambda thing, near=near: -near[thing])  # type: ignore[misc]  # bound early
            for yes, no in list(zip(there, absent))[:k]:
                self._asked += [(entry, yes, True), (entry, no, False)]

    def __len__(self) -> int:
        return len(self._asked)

    def __getitem__(self, index: int) -> Record:
        entry, thing, there = self._asked[index]
        noun = NOUNS.get(entry.media.modality, entry.media.modality)
        article = "an" if thing[:1].lower() in "aeiou" else "a"
        asked = f"Is there {article} {thing} in the {noun}? Answer yes or no."
        answer = "yes" if there else "no"
        turns = (
            Turn("user", (Shown(entry.media), Words(asked))),
            Turn("assistant", (Words(answer, target=True),)),
        )
        place = f"{entry.media.place}: {thing}"
        return Record("instruction", turns, answers=(answer,), place=place)


def _drawn(things: list[str], seed: int, number: int, what: str) -> list[str]:
    if not things:
        return []
    order = Permutation(len(things), what, seed, number)
    return [things[order[place]] for place in range(len(things))]
