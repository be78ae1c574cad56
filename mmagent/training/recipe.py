"""How long and how something is trained: numbers alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Recipe:
    """How long and how a task is trained.

    The rate rises over `warmup` steps to `rate` and falls along `schedule` to a hundredth of it at `steps` (a
    `constant` one stays). `average` is the decay of the exponential average of the weights, 0 for none. `clip` bounds
    the norm of the gradient. A step is made of `accumulate` batches, which several processes share. `bf16` computes
    in bfloat16 where torch's autocast does; weights, gradients and averages stay as they are. `auto` is `bf16` on
    accelerators that have it, `fp32` elsewhere. ValueError tells all that is out of bounds.
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
    precision: Literal["auto", "fp32", "bf16"] = "auto"

    def __post_init__(self) -> None:
        counts = dict.fromkeys(("steps", "keep_every", "sample_every", "accumulate"), 1) | {"warmup": 0}
        faults = [f"{name} is {getattr(self, name)}, not {least} or more" for name, least in counts.items()
                  if getattr(self, name) < least]  # fmt: skip
        faults += [f"{name} is {getattr(self, name)}, not a number above 0" for name in ("rate", "clip")
                   if not 0 < getattr(self, name) < math.inf]  # fmt: skip
        shares = {"average": self.average, "betas.0": self.betas[0], "betas.1": self.betas[1]}
        faults += [
            f"{name} is {value}, not from 0 to less than 1" for name, value in shares.items() if not 0 <= value < 1
        ]
        if not 0 <= self.decay < math.inf:
            faults.append(f"decay is {self.decay}, not 0 or more")
        if faults:
            raise ValueError("; ".join(faults))

    def on(self, device: torch.device | str, before: Mapping[str, Any] | None = None) -> Recipe:
        """The recipe as it is carried out on a device: its precision is chosen, or is what a run had `before`."""
        if self.precision != "auto":
            return self
        return replace(self, precision=_fast(device) if before is None else before.get("precision", "fp32"))

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

    def differs(self, before: Mapping[str, Any]) -> list[str]:
        """What a run that was kept had otherwise; what it does not tell had its default, and `auto` is what it had."""
        defaults = {field.name: field.default for field in fields(self)} | {"precision": "fp32"}  # before it was chosen
        told = self.told()
        return [key for key, value in told.items() if value not in ("auto", before.get(key, defaults[key]))]


def _fast(device: torch.device | str) -> Literal["fp32", "bf16"]:
    """The precision of autocast that a device has units for. A CPU's bfloat16 is mostly emulated."""
    import torch

    kind = torch.device(device).type
    found = (kind == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)) or (
        kind == "xpu" and torch.xpu.is_bf16_supported(including_emulation=False)
    )
    return "bf16" if found else "fp32"
