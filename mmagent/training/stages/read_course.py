"""A course in which the LLM reads every lesson: cross-entropy at supervised places, and what spans should become."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from mmagent.training import losses
from mmagent.training.lessons import Lesson, with_media_of_others, with_wishes_of_others
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

    def pack(self, samples: Sequence[Lesson]) -> None:
        """Their features were made with the lessons themselves."""
        if self.begun is not None:
            self.begun.pack(samples)
        if self.making is not None:
            self.making.pack([span for lesson in samples for span in lesson.spans])

    def given(self, samples: Sequence[Lesson]) -> Sequence[Lesson]:
        return samples

    def exchanged(self, batch: Sequence[Lesson]) -> tuple[list[Lesson], Collection[str]] | None:
        """Media, which every term should mind; without any, what spans ask for, of which words and signs know nothing."""
        if found := with_media_of_others(batch):
            return found, self.terms
        if found := with_wishes_of_others(batch):
            return found, self.terms.keys() - {"words", "signs"}
        return None

    def flush(self) -> None:
        if self.begun is not None:
            self.begun.flush()

    def close(self) -> None:
        if self.begun is not None:
            self.begun.close()
