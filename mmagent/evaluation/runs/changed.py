"""Sources whose records are changed on their way: a sample, with examples before, with other media or none.

Each is a Source over another, so they stack: `Shots(Sample(source, 100), 4)`. All are pure functions of the seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice

from mmagent.conversation import Role
from mmagent.errors import IntakeError
from mmagent.training.data import Record, Shown, Source, Turn
from mmagent.training.data.bad import BadRecord
from mmagent.training.data.permutation import Permutation
from mmagent.training.data.record import Part


class Sample:
    """`n` records of a source, drawn without replacement; all of them if it has no more."""

    def __init__(self, source: Source, n: int, seed: int = 0) -> None:
        if n < 1:
            raise IntakeError(f"a sample has one record or more, not {n}")
        self.name, self._source = source.name, source
        self._n = min(n, len(source))
        self._order = Permutation(max(1, len(source)), "sample", seed)

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, index: int) -> Record:
        return self._source[self._order[index]]


class Shots:
    """Records with `k` others before each, request and answer, as earlier turns of the conversation.

    They are drawn for each record anew from `pool`, by default from the source itself; the record is never among its
    own examples, and no bad one is: where too few are left, the record is bad. What an example holds is not asked.
    """

    def __init__(self, source: Source, k: int, pool: Source | None = None, seed: int = 0) -> None:
        self._source, self._k, self._seed = source, k, seed
        self._pool = source if pool is None else pool
        if not 0 <= k < len(self._pool):
            raise IntakeError(
                f"{k} examples cannot be drawn from {len(self._pool)} records; give a larger pool of them"
            )
        self.name = source.name

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> Record:
        record = self._source[index]
        order = Permutation(len(self._pool), "shots", self._seed, index)
        drawn = _good(self._pool, (order[place] for place in range(len(order))))
        chosen = [*islice((item for item in drawn if item.place != record.place), self._k)]
        if len(chosen) < self._k:
            raise BadRecord(record.place, f"{self._k} examples are asked for, and {len(chosen)} records can be used")
        before = [_told(turn) for item in chosen for turn in item.turns]
        return replace(record, kind="instruction" if before else record.kind, turns=(*before, *record.turns))


def _good(source: Source, order: Iterable[int]) -> Iterator[Record]:
    """Its records in that order; of what is to stand beside others, bad ones are passed over."""
    for index in order:
        with suppress(BadRecord):
            yield source[index]


def _told(turn: Turn) -> Turn:
    """A turn of which nothing is to be learnt, so that nothing of it is asked."""
    parts = tuple(part if isinstance(part, Shown) else replace(part, target=False) for part in turn.parts)
    return Turn(turn.role, parts)


class Exchanged:
    """A control: each record with the media of another, of the same modalities. What is still right was guessed."""

    def __init__(self, source: Source, seed: int = 0) -> None:
        self.name, self._source = source.name, source
        self._order = Permutation(max(1, len(source)), "exchange", seed)
        self._place = {self._order[place]: place for place in range(len(source))}

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> Record:
        record = self._source[index]
        own = _shown(record)
        if not own:
            raise BadRecord(record.place, "it shows no media that could be exchanged")
        others = iter(self._others(index, own))
        return with_parts(record, lambda _, part: next(others) if isinstance(part, Shown) else part)

    def _others(self, index: int, own: Sequence[Shown]) -> Sequence[Shown]:
        """The media of the next record, in an order of the seed's, that has as many others of the same modalities."""
        after = (self._order[(self._place[index] + step) % len(self)] for step in range(1, len(self)))
        for other in map(_shown, _good(self._source, after)):
            if [item.media.modality for item in other] == [item.media.modality for item in own] and all(
                one.media.place != two.media.place for one, two in zip(own, other)
            ):
                return other
        raise BadRecord(self._source[index].place, "no other record has as many other media of the same modalities")


class Blind:
    """A control: each record without the media that are shown. What is still right was guessed from the words."""

    def __init__(self, source: Source) -> None:
        self.name, self._source = source.name, source

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> Record:
        record = self._source[index]
        if any(all(isinstance(part, Shown) for part in turn.parts) for turn in record.turns):
            raise BadRecord(record.place, "a turn is media alone, so that nothing is left without them")
        return with_parts(record, lambda _, part: None if isinstance(part, Shown) else part)


def with_parts(record: Record, change: Callable[[Role, Part], Part | None]) -> Record:
    """A record with every part of its turns changed, or left out where the change is None."""
    turns = []
    for turn in record.turns:
        parts = (change(turn.role, part) for part in turn.parts)
        turns.append(Turn(turn.role, tuple(part for part in parts if part is not None)))
    return replace(record, kind="instruction", turns=tuple(turns), chosen=(), rejected=())


def _shown(record: Record) -> list[Shown]:
    return [part for turn in record.turns for part in turn.parts if isinstance(part, Shown)]
