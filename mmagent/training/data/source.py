"""Sources of records: as many as they say, each given by its number. Nothing of one is held in memory but where it is.

A source either reads records (`Source`), or facts (`Facts`: a picture and its caption, a question and its answer),
which a template puts into words (`Worded`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from mmagent.training.data import schema
from mmagent.training.data.bad import told
from mmagent.training.data.pieces import Pieces, lines
from mmagent.training.data.record import Record
from mmagent.training.data.reference import Folder, Reference
from mmagent.training.data.templates import Template, Value


class Source(Protocol):
    """Records by number, from 0. `name` tells it from the other sources of a mix."""

    @property
    def name(self) -> str: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Record:
        """The record of that number; BadRecord if it cannot be used."""
        ...


@dataclass(frozen=True, slots=True)
class Fact:
    """What a data set says of one thing, before it is put into words: values by name, all right answers, the place."""

    values: Mapping[str, Value]
    place: str
    answers: tuple[str, ...] = field(default=())


class Facts(Protocol):
    """Facts by number, from 0."""

    @property
    def name(self) -> str: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Fact:
        """The fact of that number; BadRecord if it cannot be used."""
        ...


class Worded:
    """Facts put into words by a template, whose wording for each is drawn from the seed, the source and its number."""

    def __init__(self, facts: Facts, template: Template | str, seed: int = 0) -> None:
        self.facts, self.seed = facts, seed
        self.template = template if isinstance(template, Template) else Template.load(template)

    @property
    def name(self) -> str:
        return self.facts.name

    def __len__(self) -> int:
        return len(self.facts)

    def __getitem__(self, index: int) -> Record:
        fact = self.facts[index]
        with told(fact.place):
            choice = self.template.choice(self.seed, f"{self.name}\0{index}")
            return self.template.record(fact.values, choice, answers=fact.answers, place=fact.place)


class Jsonl:
    """Our own records, one a line (see `schema`), beside their media: paths are relative to `media`.

    `media` is the folder of the file if not given. Nothing outside it is read.
    """

    def __init__(self, path: str | Path, media: str | Path | None = None, name: str = "") -> None:
        self._lines: Pieces = lines(path)
        self._media = Folder(Path(path).parent if media is None else media)
        self.name = name or Path(path).stem

    def __len__(self) -> int:
        return len(self._lines)

    def __getitem__(self, index: int) -> Record:
        place = self._lines.place(index)
        with told(place):
            return schema.parse(self._lines.read(index), place, self._resolve)

    def _resolve(self, path: str, modality: str) -> Reference:
        return self._media.file(path, modality)


def checked(source: Source, indices: Sequence[int] | None = None) -> list[str]:
    """What is wrong with the records of a source, a line each with its place; media are looked for, not decoded."""
    from mmagent.training.data.bad import BadRecord

    found = []
    for index in range(len(source)) if indices is None else indices:
        try:
            source[index]
        except BadRecord as bad:
            found.append(str(bad))
    return found
