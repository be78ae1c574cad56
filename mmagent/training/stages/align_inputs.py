"""Encoder-side alignment: input projectors learn to say in the LLM's embeddings what encoders saw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from mmagent.training.stages.parted import Parted, chosen, part
from mmagent.training.stages.read_course import ReadCourse
from mmagent.training.stages.spec import Stage

if TYPE_CHECKING:
    from mmagent.model.parts import Parts
    from mmagent.training.stages.school import School


class AlignInputs(Stage):
    """Cross-entropy of the replies' words, the LLM and everything else frozen (NExT-GPT, arXiv:2309.05519, 4.1)."""

    kind: Literal["align-inputs"]
    modalities: tuple[str, ...] = ()

    def part(self, parts: Parts) -> Parted:
        """Trained: `inputs.<modality>`. Frozen: the backbone, LoRA, signal rows, output projectors."""
        names = [
            f"inputs.{name}" for name in chosen(self.modalities, list(parts.inputs), "input projector", parts.spec.name)
        ]
        return part(parts, {name: list(parts.part(name)) for name in names}, names)

    def course(self, school: School) -> ReadCourse:
        return ReadCourse(school.parts, school.lessons(words=True, signs=False, media=True), {"words": 1.0})
