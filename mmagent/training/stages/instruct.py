"""Instruction tuning: the LLM learns by LoRA to answer with words and spans, and what hangs on its states goes along."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from mmagent.errors import ModelError
from mmagent.training.making import Making
from mmagent.training.stages.parted import Parted, part
from mmagent.training.stages.read_course import ReadCourse
from mmagent.training.stages.spec import Stage, Weight

if TYPE_CHECKING:
    from mmagent.model.parts import Parts
    from mmagent.training.stages.school import School


class Instruct(Stage):
    """Cross-entropy of the replies' words, open ids and first signals, and the distance of spans to their targets.

    LoRA moves span states, so output projectors and signal rows train along (NExT-GPT, arXiv:2309.05519, 5).
    `inputs` says whether input projectors do too. Only modalities with a projector have a distance; `denoising` adds
    the generators' own loss.
    """

    kind: Literal["instruct"]
    inputs: bool = True
    words: Weight = 1.0
    signs: Weight = 1.0
    distance: Weight = 1.0
    denoising: Weight = 0.0
    null: float = Field(0.1, ge=0, lt=1)

    def part(self, parts: Parts) -> Parted:
        """Trained: `lora`, `signals.<modality>`, `outputs.<modality>`, and `inputs.<modality>` unless told otherwise.
        Frozen: the backbone."""
        if not parts.lora:
            raise ModelError(f"{parts.spec.name} has no lora; instruction tuning trains it: say its rank in model.yaml")
        names = [name for name in parts.names() if self.inputs or not name.startswith("inputs.")]
        return part(parts, {name: list(parts.part(name)) for name in names}, names)

    def course(self, school: School) -> ReadCourse:
        makers = {name: school.maker(name) for name in school.parts.outputs} if self.distance or self.denoising else {}
        making = Making(school.parts, makers, null=self.null, denoising=self.denoising > 0, distance=self.distance > 0)
        terms = {"words": self.words, "signs": self.signs}
        terms |= {f"distance.{name}": self.distance for name in makers if self.distance}
        terms |= {f"denoising.{name}": self.denoising for name in makers if self.denoising}
        return ReadCourse(school.parts, school.lessons(words=True, signs=True), terms, making)
