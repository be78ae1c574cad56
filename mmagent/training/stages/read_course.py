"""A course in which the LLM reads every lesson: cross-entropy at supervised places, and what spans should become."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from mmagent.training import losses
from mmagent.training.lessons import Lesson, exchanged
from mmagent.training.reading import read

if TYPE_CHECKING:
    from mmagent.model.parts import Parts
    from mmagent.training.beginnings import Beginnings
    from mmagent.training.making import Making
    from mmagent.training.order import Order


@dataclass(frozen=True)
class ReadCourse:
    """Terms `words` and `signs` (open ids and first signals), and those of `making`. Where what lessons begin with is
    frozen, `begun` keeps it."""

    parts: Parts
    order: Order[Lesson]
    terms: Mapping[str, float]
    making: Making | None = None
    begun: Beginnings | None = None

    @property
    def modules(self) -> Mapping[str, torch.nn.Module]:
        return {"parts": self.parts}

    def at(self, number: int, seed: int) -> list[Lesson]:
        return self.order.at(number)

    def counts(self, batch: Sequence[Lesson]) -> Mapping[str, int]:
        base = self.parts.rows.table.base
        ids = [lesson.id_at(at) for lesson in batch for at in lesson.supervised]
        signs = sum(number >= base for number in ids)
        found = {"words": len(ids) - signs, "signs": signs}
        return found | (self.making.counts([span for lesson in batch for span in lesson.spans]) if self.making else {})

    def losses(self, batch: Sequence[Lesson]) -> Mapping[str, torch.Tensor]:
        found = self.begun.read(batch) if self.begun else read(self.parts, batch)
        each = losses.entropy(found.logits, found.ids)  # [N]
        own = found.ids >= self.parts.rows.table.base
        terms = {name: each[places] for name, places in (("words", ~own), ("signs", own))}
        told = {name: values.mean() for name, values in terms.items() if len(values)}
        if self.making is not None:
            told |= self.making.losses(found.spans, [span for lesson in batch for span in lesson.spans])
        return told

    def sample(self, folder: Path, step: int) -> None:
        """Nothing: a model that is saved can be asked."""

    def pack(self, number: int) -> None:
        lessons = self.order.at(number)  # makes their features
        if self.begun is not None:
            self.begun.pack(lessons)
        if self.making is not None:
            self.making.pack([span for lesson in lessons for span in lesson.spans])

    def exchanged(self, batch: Sequence[Lesson]) -> list[Lesson] | None:
        return exchanged(batch) or None

    def flush(self) -> None:
        """Features and targets are kept by those who made them."""
        if self.begun is not None:
            self.begun.flush()

    def close(self) -> None:
        if self.begun is not None:
            self.begun.close()
