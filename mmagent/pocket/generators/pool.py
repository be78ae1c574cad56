"""A pool of facts with captions whose states are computed once, for trainings that go over it again and again.

Number i of a pool is a pure function of the pool's name and i. Only states are kept, in one mapped file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from mmagent.errors import ModelError
from mmagent.pocket.generators.text import LENGTH, WIDTH, states_of
from mmagent.pocket.world import words
from mmagent.pocket.world.words import Spec

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

S = TypeVar("S", bound=Spec)
_AT_ONCE = 256


@dataclass(frozen=True)
class Pool(Generic[S]):
    """`size` captioned facts drawn by `draw`, the states of their captions in `folder`."""

    name: str
    size: int
    draw: Callable[[Random], S]
    folder: Path

    def fact(self, number: int) -> tuple[S, str]:
        """A fact and its caption."""
        random = Random(f"{self.name} {number}")  # noqa: S311  # chance, not secrets
        fact = self.draw(random)
        return fact, words.said(fact, random)

    def build(self, report: Callable[[int, int], None] = lambda done, total: None) -> Array:
        """The states of all captions, float16 `[size, L, 384]`, mapped; what is missing is computed first.

        A build that was stopped goes on where it was.
        """
        import numpy as np

        self.folder.mkdir(parents=True, exist_ok=True)
        path, mark = self.folder / f"{self.name}.npy", self.folder / f"{self.name}.done"
        shape = self.size, LENGTH, WIDTH
        if not path.exists():
            mark.unlink(missing_ok=True)
            np.lib.format.open_memmap(path, "w+", np.float16, shape).flush()
        states = np.load(path, mmap_mode="r+")
        if states.shape != shape:
            raise ModelError(f"{path} is of a pool of {len(states)} captions, not {self.size}; delete it")
        done = int(mark.read_text()) if mark.exists() else 0
        while done < self.size:
            numbers = range(done, min(done + _AT_ONCE, self.size))
            states[numbers.start : numbers.stop] = states_of([self.fact(number)[1] for number in numbers]).numpy()
            states.flush()
            done = numbers.stop
            half = mark.with_suffix(".half")
            half.write_text(str(done))
            half.replace(mark)
            report(done, self.size)
        whole: Array = np.load(path, mmap_mode="r")
        return whole
