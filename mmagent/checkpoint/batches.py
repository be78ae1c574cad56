"""A list cut into batches: what several items make when they go through a model together, in their own order."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from mmagent.context import Context
from mmagent.errors import ModelError

Item = TypeVar("Item")
Made = TypeVar("Made")


def in_batches(
    items: Sequence[Item],
    batch: int,
    encode: Callable[[list[Item]], Iterable[Made]],
    ctx: Context,
    noun: str,
    *,
    size: Callable[[Item], int] | None = None,
    alike: bool = False,
) -> list[Made]:
    """What `encode` makes of the items, one of each, when it is given up to `batch` of them at once.

    With `size` those of like size go together, the largest first, so that memory that does not suffice shows at
    once; with `alike` only those of one size do. `ctx` is told before each batch and may stop it there; `noun` is
    what an item is called. ModelError if `batch` is less than 1.
    """
    if batch < 1:
        raise ModelError(f"batch is at least 1, not {batch}")
    sizes = [size(item) if size else 0 for item in items]
    made: dict[int, Made] = {}
    for places in _batches(sizes, batch, alike):
        ctx.progress(len(made), len(items), f"{noun} {len(made) + 1} of {len(items)}")
        made |= zip(places, encode([items[place] for place in places]), strict=True)
    return [made[place] for place in range(len(items))]


def _batches(sizes: Sequence[int], batch: int, alike: bool) -> Iterator[list[int]]:
    """The places of what goes together.

    >>> list(_batches([1, 3, 1, 2], 2, alike=False)), list(_batches([1, 3, 1, 2], 2, alike=True))
    ([[1, 3], [0, 2]], [[1], [3], [0, 2]])
    """
    order = sorted(range(len(sizes)), key=lambda place: -sizes[place])
    groups = [list(group) for _, group in itertools.groupby(order, key=sizes.__getitem__)] if alike else [order]
    for group in groups:
        yield from (group[begin : begin + batch] for begin in range(0, len(group), batch))
