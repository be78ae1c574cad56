"""Which records make which batch: a pure function of the batch's number, so that a run goes on anywhere.

Batches hold records of like length. For that, records of some batches that follow each other in the mix are sorted
by length, cut into batches, and these are shuffled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Generic, TypeVar

from mmagent.errors import IntakeError
from mmagent.training.data.bad import BadRecord, BadRecords, told
from mmagent.training.data.mix import Mix
from mmagent.training.data.permutation import Permutation
from mmagent.training.data.record import Record

T = TypeVar("T")

WINDOW = 16
"""Batches among which records are sorted, at most."""


class Order(Generic[T]):
    """Batches of `size` of what `prepare` makes of a mix's records; bad records are left out.

    Among `window` batches, those of like `length` come together.
    """

    def __init__(
        self,
        mix: Mix,
        size: int,
        prepare: Callable[[Record], T],
        length: Callable[[T], int],
        bad: BadRecords | None = None,
        window: int = WINDOW,
    ) -> None:
        if not 1 <= size <= mix.size:
            raise IntakeError(
                f"a batch of {size} records cannot be had of {mix.size}; give a batch from 1 to {mix.size}"
            )
        self.mix, self.size, self.bad = mix, size, bad or BadRecords()
        self._prepare, self._length = prepare, length
        self._n = min(window, mix.size // size)
        self._window = lru_cache(maxsize=2)(self._made)

    def at(self, number: int) -> list[T]:
        """The batch of that number, counted from 0. IntakeError if no record in its neighbourhood is usable."""
        window, place = divmod(number, self._n)
        return self._window(window)[Permutation(self._n, self.mix.seed, "batch", window)[place]]

    def _made(self, window: int) -> list[list[T]]:
        """The window's batches, of which the sizes differ by one where some of its records are bad."""
        n_places = self._n * self.size
        found = self._cut(range(window * n_places, (window + 1) * n_places), self._n)
        n_items = sum(map(len, found))
        if n_items < self._n:
            raise IntakeError(f"of {n_places} records {n_places - n_items} are bad; see what was reported of them")
        return found

    def places(self, n_batches: int) -> list[int]:
        """Where in the endless mix each record of the first so many batches comes for the first time."""
        found: dict[tuple[int, int], int] = {}
        n_windows = -(-n_batches // self._n)  # a batch has records out of the whole window
        for place in range(n_windows * self._n * self.size):
            found.setdefault(self._where(place), place)
            if len(found) == sum(self.mix.lengths):
                break
        return list(found.values())

    def each(self, places: Sequence[int]) -> Iterator[list[T]]:
        """Batches of what is made of the records at these places, those of a window together."""
        for begin in range(0, len(places), self._n * self.size):
            some = places[begin : begin + self._n * self.size]
            yield from self._cut(some, -(-len(some) // self.size))

    def _cut(self, places: Sequence[int], n: int) -> list[list[T]]:
        """What is made of the records at these places, by length, in `n` batches."""
        items = sorted((item for place in places for item in self._record(place)), key=self._length)
        ends = [len(items) * (at + 1) // n for at in range(n)]
        return [items[begin:end] for begin, end in zip([0, *ends], ends)]

    def _where(self, place: int) -> tuple[int, int]:
        """The source, and the record's number in it, at a place of the endless mix."""
        return self.mix.at(*divmod(place, self.mix.size))

    def _record(self, place: int) -> list[T]:
        """What is made of the record at a place of the endless mix, or nothing."""
        which, index = self._where(place)
        try:
            record = self.mix.sources[which][index]
            with told(record.place):
                return [self._prepare(record)]
        except BadRecord as bad:
            self.bad.met(bad)
            return []
