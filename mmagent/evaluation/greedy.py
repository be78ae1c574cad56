"""Which replies a model would give word for word, found without decoding them.

Greedy decoding gives a reply exactly if at each of its ids, its end included, this id is the most probable one behind
those before it. So one pass over a question with its reply tells, and questions about one medium share the reading of
it (`Teacher`'s `apart`). What is said instead of a reply is not told; `mmagent eval run` asks for it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

import torch

from mmagent.checkpoint.threads import modest
from mmagent.training.reading import read

if TYPE_CHECKING:
    from mmagent.model.parts import Parts
    from mmagent.training.lessons import Lesson


def greedy(parts: Parts, lessons: Iterable[Lesson], batch: int = 8) -> Iterator[list[bool]]:
    """For each lesson whether its reply would come, one answer for each of its branches; `batch` are read together.

    A lesson that has been met before is not read again. Policies, penalties of repeats and tools play no part in it.
    """
    known: dict[str, list[bool]] = {}
    parts.eval()
    rest = iter(lessons)
    while some := list(islice(rest, batch)):
        keys = [lesson.key for lesson in some]
        new = {key: lesson for key, lesson in zip(keys, some) if key not in known}
        if new:
            known |= zip(new, _read(parts, list(new.values())))
        yield from (known[key] for key in keys)


def _read(parts: Parts, lessons: Sequence[Lesson]) -> list[list[bool]]:
    with modest(), torch.no_grad():
        found = read(parts, lessons)
        hits = iter((found.logits.argmax(dim=-1) == found.ids).tolist())  # in the order of lessons and places
    right = [[True] * max(1, len(lesson.branches)) for lesson in lessons]
    for lesson, replies in zip(lessons, right):
        for at in lesson.supervised:
            replies[max(0, bisect_right(lesson.branches, at) - 1)] &= next(hits)
    return right
