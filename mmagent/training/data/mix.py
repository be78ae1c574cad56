"""Several sources read as one: weighted, shuffled, split over processes, and resumable anywhere.

Which record comes at a place of an epoch is a pure function of the seed, the epoch and the place, worked out without
what came before; so the state of `Epochs` is two numbers. Nothing but the current record is in memory.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Any, Generic, TypeVar, cast

from blake3 import blake3

from mmagent.errors import IntakeError
from mmagent.training.data.bad import BadRecord, BadRecords, told
from mmagent.training.data.permutation import Permutation
from mmagent.training.data.record import Record
from mmagent.training.data.source import Source

T = TypeVar("T")


class Mix:
    """An endless sequence of epochs of `size` records out of several sources.

    Each source has its share of every epoch, in proportion to its weight: as exactly as whole numbers allow, not on
    average. Without weights a share is as large as its source. A source is gone through once before any of its
    records comes again, in another order; one that is larger than its share goes on in the next epoch where it was.
    `size` is the records of all sources together, if not given.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        weights: Sequence[float] | None = None,
        *,
        size: int | None = None,
        seed: int = 0,
    ) -> None:
        self.sources, self.seed = tuple(sources), seed
        self.lengths = tuple(map(len, self.sources))
        names = [source.name for source in self.sources]
        if not names or len(set(names)) < len(names):
            raise IntakeError(f"a mix needs sources of different names, not {', '.join(names) or 'none'}; name= one")
        if 0 in self.lengths:
            raise IntakeError(f"source {names[self.lengths.index(0)]} is empty")
        self.size = sum(self.lengths) if size is None else size
        shares = self.lengths if weights is None else tuple(weights)
        if len(shares) != len(names) or not all(0 < share < float("inf") for share in shares):
            raise IntakeError(f"a mix of {len(names)} sources takes as many weights above 0, not {list(shares)}")
        self.quotas = _quotas(shares, self.size)
        if 0 in self.quotas:
            raise IntakeError(
                f"an epoch of {self.size} records has none of {names[self.quotas.index(0)]}; give it a larger size= "
                "or weight"
            )
        self._begins = [0, *accumulate(self.quotas)]
        self._order = lru_cache(maxsize=4 * len(names) + 4)(Permutation)

    @property
    def digest(self) -> str:
        """What tells this order from any other: the seed, the shares, and the sources by name and length."""
        told = [self.seed, *((item.name, n, part) for item, n, part in zip(self.sources, self.lengths, self.quotas))]
        return blake3(repr(told).encode()).hexdigest()[:32]

    def at(self, epoch: int, place: int) -> tuple[int, int]:
        """The number of the source, and of its record, at a place of an epoch."""
        slot = self._order(self.size, self.seed, "epoch", epoch)[place]
        which = bisect_right(self._begins, slot) - 1
        drawn = epoch * self.quotas[which] + slot - self._begins[which]
        again, index = divmod(drawn, self.lengths[which])
        order = self._order(self.lengths[which], self.seed, "source", self.sources[which].name, again)
        return which, order[index]


class Epochs(Generic[T]):
    """Goes through a mix as one of `world` processes: `for item in epochs` is the rest of an epoch, then the next.

    Places of an epoch go round: process `rank` has every `world`-th. Together the processes have each place once.
    `prepare` makes of a record what is wanted of it; if it meets a medium that cannot be read, the record is bad.
    `state()` after an item is where to go on with the next one.
    """

    def __init__(
        self,
        mix: Mix,
        bad: BadRecords | None = None,
        prepare: Callable[[Record], T] | None = None,
        *,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        if not 0 <= rank < world:
            raise ValueError(f"rank {rank} is not one of 0 … {world - 1}")
        if world > mix.size:
            raise IntakeError(f"an epoch of {mix.size} records cannot be split over {world} processes")
        self.mix, self.bad, self.rank, self.world = mix, bad or BadRecords(), rank, world
        self.epoch = self.taken = 0
        self._prepare = prepare or cast("Callable[[Record], T]", lambda record: record)

    def __len__(self) -> int:
        """The records of an epoch for this process, bad ones counted."""
        return len(range(self.rank, self.mix.size, self.world))

    def __iter__(self) -> Iterator[T]:
        begun, given = self.taken, 0
        while self.taken < len(self):
            which, index = self.mix.at(self.epoch, self.rank + self.taken * self.world)
            self.taken += 1
            try:
                record = self.mix.sources[which][index]
                with told(record.place):
                    item = self._prepare(record)
            except BadRecord as bad:
                self.bad.met(bad)
                continue
            given += 1
            yield item
        if not begun and not given:
            raise IntakeError(f"all {len(self)} records of the epoch are bad; see what was reported of them")
        self.epoch, self.taken = self.epoch + 1, 0

    def state(self) -> dict[str, Any]:
        """Where it is, as plain data."""
        return {
            "epoch": self.epoch,
            "taken": self.taken,
            "rank": self.rank,
            "world": self.world,
            "mix": self.mix.digest,
        }

    def resume(self, state: Mapping[str, Any]) -> None:
        """Go on from a state; IntakeError if it is that of another mix, or of another split over processes."""
        mine = self.state()
        other = [key for key in ("mix", "rank", "world") if state.get(key) != mine[key]]
        if other:
            raise IntakeError(
                f"the state is of another {', '.join(other)}: go on with the same sources, weights, seed and processes, "
                "or begin an epoch anew"
            )
        self.epoch, self.taken = int(state["epoch"]), int(state["taken"])


def _quotas(shares: Sequence[float], size: int) -> tuple[int, ...]:
    """`size` divided in proportion to the shares by the method of the largest remainder.

    >>> _quotas([1, 1, 2], 10)
    (3, 2, 5)
    """
    total = sum(shares)
    exact = [share * size / total for share in shares]
    whole = [int(part) for part in exact]
    for index in sorted(range(len(shares)), key=lambda i: (whole[i] - exact[i], i))[: size - sum(whole)]:
        whole[index] += 1
    return tuple(whole)
