"""Perturbations: records whose media or words are changed by so much, to see how fast a score falls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from blake3 import blake3

from mmagent.errors import IntakeError
from mmagent.evaluation.runs.changed import with_parts
from mmagent.intake import Limits
from mmagent.media import Media, fits
from mmagent.training.data import Record, Reference, Shown, Source, Words
from mmagent.training.data.bad import BadRecord
from mmagent.training.data.record import Part

if TYPE_CHECKING:
    import numpy as np

    Random: TypeAlias = np.random.Generator


@dataclass(frozen=True, slots=True)
class Change:
    """A way to make media or words worse. `media` has a function for each modality it changes, `words` one for words.

    Each takes the value, a strength from 0 (as it was) on, and a random generator. `strengths` are those of a curve.
    The generator is the same for every strength, so that a curve shows one noise growing, not a new one each time.
    """

    name: str
    strengths: tuple[float, ...]
    media: Mapping[str, Callable[[Any, float, Random], Media]] = field(default_factory=dict)
    words: Callable[[str, float, Random], str] | None = None


class Perturbed:
    """The records of a source under a change; a record that has nothing the change applies to is a bad one."""

    def __init__(self, source: Source, change: Change | str, strength: float, seed: int = 0) -> None:
        if not strength >= 0:
            raise IntakeError(f"a strength is 0 or more, not {strength}")
        self.name, self._source, self._seed = source.name, source, seed
        self._change, self._strength = change if isinstance(change, Change) else find(change), strength

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> Record:
        record, change = self._source[index], self._change
        met = changed = 0

        def one(role: str, part: Part) -> Part:
            nonlocal met, changed
            met += 1
            drawn = (self._seed, record.place, met)
            worse = function(change, part.media.modality) if isinstance(part, Shown) else None
            if isinstance(part, Shown) and worse is not None:
                changed += 1
                return Shown(Worse(part.media, worse, self._strength, drawn))
            if isinstance(part, Words) and change.words is not None and role == "user" and part.text.strip():
                changed += 1
                return Words(change.words(part.text, self._strength, _random(*drawn)))
            return part

        found = with_parts(record, one)
        if not changed:
            raise BadRecord(record.place, f"it has nothing that {change.name} changes")
        return found


@dataclass(frozen=True, slots=True)
class Worse(Reference):
    """A medium that is changed when it is opened."""

    inner: Reference
    change: Callable[[Any, float, Random], Media] = field(repr=False)
    strength: float
    drawn: tuple[int, str, int]

    @property
    def modality(self) -> str:  # type: ignore[override]  # a class attribute there, told by the inner one here
        return self.inner.modality

    @property
    def place(self) -> str:
        return self.inner.place

    def mark(self) -> str:
        return ""

    def read(self, limits: Limits) -> bytes:
        return self.open(limits).encode()

    def open(self, limits: Limits | None = None) -> Media:
        return self.change(self.inner.open(limits), self.strength, _random(*self.drawn))


def function(change: Change, modality: str) -> Callable[[Any, float, Random], Media] | None:
    """What the change does to a modality, or to the one that it refines."""
    return next((found for name, found in change.media.items() if fits(modality, name)), None)


def find(name: str) -> Change:
    """A change of ours by name; IntakeError lists them."""
    from mmagent.evaluation.runs.changes import CHANGES

    if name not in CHANGES:
        raise IntakeError(f"no perturbation is called {name!r}; there are {', '.join(CHANGES)}")
    return CHANGES[name]


def _random(seed: int, place: str, number: int) -> Random:
    import numpy as np

    drawn = blake3(f"{seed}\0{place}\0{number}".encode("utf-8", "surrogatepass")).digest(length=8)
    return np.random.default_rng(int.from_bytes(drawn))
