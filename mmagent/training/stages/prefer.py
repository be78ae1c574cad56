"""Preference tuning: of two replies the preferred one becomes more probable, against the model that it began as."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import torch
from blake3 import blake3
from pydantic import Field

from mmagent.errors import ModelError
from mmagent.training import losses
from mmagent.training.reading import read
from mmagent.training.shards.packed import Kept, Packed
from mmagent.training.stages.parted import Parted, part
from mmagent.training.stages.spec import Stage
from mmagent.training.states import frozen_digest

if TYPE_CHECKING:
    from mmagent.model.parts import Parts
    from mmagent.training.lessons import Lesson
    from mmagent.training.order import Order
    from mmagent.training.stages.school import School

Pair = tuple["Lesson", "Lesson"]


class Prefer(Stage):
    """Direct preference optimization (Rafailov et al. 2023, arXiv:2305.18290) over words, open ids and first signals.

    What the starting model says of each reply is worked out once and kept. `beta` is how dear it is to leave it.
    """

    kind: Literal["prefer"]
    beta: Annotated[float, Field(gt=0)] = 0.1

    def part(self, parts: Parts) -> Parted:
        """Trained: `lora`. Frozen: the backbone, projectors, signal rows."""
        if not parts.lora:
            raise ModelError(f"{parts.spec.name} has no lora; preference tuning trains it: say its rank in model.yaml")
        return part(parts, {"lora": list(parts.part("lora"))}, ["lora"])

    def course(self, school: School) -> PreferCourse:
        order = school.ordered(school.teacher.pair, lambda pair: max(lesson.length for lesson in pair))
        return PreferCourse(school.parts, order, self.beta, school.folder, school.part, school.precision)


@dataclass
class PreferCourse:
    """The term `preference`; `accuracy` and `margin` are told. The parts are those to start from when it is made.

    Both sides of a margin are read in the `precision` of the loop: else it would begin at what rounding makes of it.
    """

    parts: Parts
    order: Order[Pair]
    beta: float
    folder: Path
    part: str = "0"
    precision: str = "fp32"
    terms: Mapping[str, float] = field(default_factory=lambda: {"preference": 1.0})

    def __post_init__(self) -> None:
        # Rows out make logits too, so that the digest of what states depend on is not enough.
        rows = blake3(self.parts.rows.out.detach().float().cpu().numpy().tobytes()).hexdigest()
        made = {"reference": frozen_digest(self.parts), "rows": rows}
        name = f"reference-{made['reference'][:16]}-{rows[:16]}"
        if self.precision != "fp32":
            made["precision"] = self.precision
            name += f"-{self.precision}"
        self._packed = Packed(self.folder / name, made, part=self.part)
        self._start = {name: value.detach().clone() for name, value in self._trained().items()}

    @property
    def modules(self) -> Mapping[str, torch.nn.Module]:
        return {"parts": self.parts}

    def at(self, number: int, seed: int) -> list[Pair]:
        return self.order.at(number)

    def counts(self, batch: Sequence[Pair]) -> Mapping[str, int]:
        return {"preference": len(batch)}

    def losses(self, batch: Sequence[Pair]) -> Mapping[str, torch.Tensor]:
        found = losses.preference(self._said(batch), self._reference(batch), self.beta)
        return {"preference": found.loss, "accuracy": found.accuracy, "margin": found.margin}

    def sample(self, folder: Path, step: int) -> None:
        """Nothing: a model that is saved can be asked."""

    def pack(self, samples: Sequence[Pair]) -> None:
        self._reference(samples)

    def given(self, samples: Sequence[Pair]) -> Sequence[Pair]:
        return samples

    def exchanged(self, batch: Sequence[Pair]) -> None:
        """Which of two replies is preferred says nothing of what the model looks at."""

    def flush(self) -> None:
        self._packed.flush()

    def close(self) -> None:
        self._packed.close()

    def _said(self, batch: Sequence[Pair]) -> torch.Tensor:
        """The log-probabilities `[B, 2]` of the chosen and the rejected replies."""
        lessons = [lesson for pair in batch for lesson in pair]
        found = read(self.parts, lessons)
        return losses.sequence(found.logits, found.ids, found.owner, len(lessons)).reshape(-1, 2)

    def _reference(self, batch: Sequence[Pair]) -> torch.Tensor:
        """The same under the starting weights."""
        known = [self._packed.of(f"{pair[0].key}-{pair[1].key}", lambda pair=pair: self._began(pair)) for pair in batch]  # type: ignore[misc]  # mypy infers no lambda's default
        values = np.stack([kept.arrays["reference"] for kept in known])
        return torch.from_numpy(values).to(self.parts.device)  # [B, 2]

    def _began(self, pair: Pair) -> Kept:
        """One pair alone, so that it does not depend on its neighbours in a batch."""
        now = {name: value.detach().clone() for name, value in self._trained().items()}
        was, device = self.parts.training, self.parts.device.type
        self._put(self._start)
        self.parts.eval()
        try:
            with torch.no_grad(), torch.autocast(device, torch.bfloat16, enabled=self.precision == "bf16"):
                said = self._said([pair])[0]
        finally:
            self._put(now)
            self.parts.train(was)
        return Kept({"reference": said.float().cpu().numpy()}, {})

    def _trained(self) -> dict[str, torch.nn.Parameter]:
        return {name: value for name, value in self.parts.named_parameters() if value.requires_grad}

    def _put(self, values: Mapping[str, torch.Tensor]) -> None:
        with torch.no_grad():
            for name, value in self._trained().items():
                value.copy_(values[name])
