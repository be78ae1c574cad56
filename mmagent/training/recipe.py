"""How long and how something is trained: numbers alone."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Literal


@dataclass(frozen=True, slots=True)
class Recipe:
    """How long and how a task is trained.

    The rate rises over `warmup` steps to `rate` and falls along `schedule` to a hundredth of it at `steps` (a
    `constant` one stays). `average` is the decay of the exponential average of the weights, 0 for none. `clip` bounds
    the norm of the gradient. A step is made of `accumulate` batches, which several processes share. `bf16` computes
    in bfloat16 where torch's autocast does; weights, gradients and averages stay as they are.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}  # where it is read from a file

    steps: int
    rate: float = 1e-3
    warmup: int = 100
    decay: float = 0.01
    clip: float = 1.0
    average: float = 0.999
    seed: int = 0
    betas: tuple[float, float] = (0.9, 0.99)
    keep_every: int = 200
    sample_every: int = 1000
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    accumulate: int = 1
    precision: Literal["fp32", "bf16"] = "fp32"

    def rate_at(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        risen = min(1.0, (step + 1) / max(1, self.warmup))
        gone = min(1.0, max(0.0, step - self.warmup) / max(1, self.steps - self.warmup))
        if self.schedule == "constant":
            return self.rate * risen
        left = (1 + math.cos(math.pi * gone)) / 2 if self.schedule == "cosine" else 1 - gone
        return self.rate * risen * (0.01 + 0.99 * left)

    def told(self) -> dict[str, Any]:
        """The recipe as it is kept with a run: what changes no step is left out."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self).items()
            if key not in ("keep_every", "sample_every")
        }

    def differs(self, before: dict[str, Any]) -> list[str]:
        """What a run that was kept had otherwise; what it does not tell had its default."""
        defaults = {field.name: field.default for field in fields(self)}
        return [key for key, value in self.told().items() if before.get(key, defaults[key]) != value]
