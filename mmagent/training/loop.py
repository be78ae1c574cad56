"""The loop of every training: batches in, steps, an average of the weights, checkpoints; it knows no task.

A step is a pure function of the weights, the seed and its number: all random numbers, those of the batch and those
that torch draws, come from these two. A run that was stopped goes on bit for bit.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from blake3 import blake3

from mmagent.errors import ModelError
from mmagent.training import checkpoint as kept

if TYPE_CHECKING:
    import torch

LOG = "log.jsonl"
_SHOWN = 20
"""Steps between two lines of the log."""


class Task(Protocol):
    """What is trained, on what, and what it should become better at."""

    @property
    def modules(self) -> Mapping[str, torch.nn.Module]:
        """The modules whose trainable parameters are trained, by name."""
        ...

    def batch(self, seed: int) -> Any:
        """What a step is given: a pure function of the seed."""
        ...

    def losses(self, batch: Any) -> Mapping[str, torch.Tensor]:
        """Scalars; `loss` is made small, the others are told."""
        ...

    def sample(self, folder: Path, step: int) -> None:
        """Leave something to look at, made with the averaged weights."""
        ...


@dataclass(frozen=True, slots=True)
class Recipe:
    """How long and how a task is trained.

    The rate rises over `warmup` steps to `rate` and falls along a cosine to a hundredth of it at `steps`. `average`
    is the decay of the exponential average of the weights, 0 for none. `clip` bounds the norm of the gradient.
    """

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

    def rate_at(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        risen = min(1.0, (step + 1) / max(1, self.warmup))
        gone = max(0.0, step - self.warmup) / max(1, self.steps - self.warmup)
        return self.rate * risen * (0.01 + 0.99 * (1 + math.cos(math.pi * min(1.0, gone))) / 2)


Report = Callable[[int, int, Mapping[str, float]], None]
"""Told now and then of a run: steps done, steps in all, the losses since it was told last."""


def fit(
    task: Task,
    recipe: Recipe,
    folder: Path,
    *,
    minutes: float = math.inf,
    report: Report | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> int:
    """Train the task in `folder`, from where its run was left, until `steps` or for so many minutes; the step it is at.

    When it returns, the modules hold the averaged weights. ModelError if the folder holds a run of another recipe.
    """
    run = _Run(task, recipe, folder)
    end = time.monotonic() + minutes * 60
    while run.step < recipe.steps and time.monotonic() < end and not stop():
        run.advance(report)
        if run.step % recipe.keep_every == 0:
            run.keep()
        if run.step % recipe.sample_every == 0:
            with run.averaged():
                task.sample(folder, run.step)
    run.keep()
    run.averaged().__enter__()
    return run.step


class _Run:
    def __init__(self, task: Task, recipe: Recipe, folder: Path) -> None:
        import torch

        self.task, self.recipe, self.folder = task, recipe, folder
        self.step = 0
        self._parameters = {
            f"{name}.{key}": value
            for name, module in task.modules.items()
            for key, value in module.named_parameters()
            if value.requires_grad
        }
        self._buffers = {
            f"{name}.{key}": value for name, module in task.modules.items() for key, value in module.named_buffers()
        }
        self._average = {name: value.detach().clone() for name, value in self._parameters.items()}
        self._optimizer = torch.optim.AdamW(
            self._parameters.values(), lr=recipe.rate, betas=recipe.betas, weight_decay=recipe.decay
        )
        self._told: list[Mapping[str, float]] = []
        before = kept.read(folder)
        if before is not None:
            self._restore(before)

    def advance(self, report: Report | None) -> None:
        """One step."""
        import torch

        seed = int.from_bytes(blake3(f"{self.recipe.seed}\0{self.step}".encode()).digest(length=8)) >> 1
        for group in self._optimizer.param_groups:
            group["lr"] = self.recipe.rate_at(self.step)
        for module in self.task.modules.values():
            module.train()
        batch = self.task.batch(seed)
        torch.manual_seed(seed)
        losses = self.task.losses(batch)
        losses["loss"].backward()  # type: ignore[no-untyped-call]  # torch leaves it so
        norm = torch.nn.utils.clip_grad_norm_(self._parameters.values(), self.recipe.clip)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self.step += 1
        if self.recipe.average:
            share = 1 - min(self.recipe.average, (1 + self.step) / (10 + self.step))
            torch._foreach_lerp_(list(self._average.values()), list(self._parameters.values()), share)
        self._tell({name: float(value.detach()) for name, value in losses.items()} | {"norm": float(norm)}, report)

    def _tell(self, losses: Mapping[str, float], report: Report | None) -> None:
        if not math.isfinite(losses["loss"]):
            raise ModelError(f"the loss of step {self.step} is {losses['loss']}; lower the rate, and go on from before")
        self._told.append(losses)
        if self.step % _SHOWN and self.step < self.recipe.steps:
            return
        means = {name: sum(item[name] for item in self._told) / len(self._told) for name in losses}
        self._told.clear()
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / LOG).open("a", encoding="utf-8") as file:
            line = {"step": self.step, "rate": self.recipe.rate_at(self.step - 1), "time": time.time(), **means}
            file.write(json.dumps(line) + "\n")
        if report is not None:
            report(self.step, self.recipe.steps, means)

    def averaged(self) -> _Averaged:
        """The modules with the averaged weights, as long as the block lasts."""
        return _Averaged(self)

    def keep(self) -> None:
        """Write the checkpoint."""
        tensors = {f"model.{name}": value.detach() for name, value in self._parameters.items()}
        tensors |= {f"buffer.{name}": value.detach() for name, value in self._buffers.items()}
        tensors |= {f"average.{name}": value for name, value in self._average.items()}
        for number, state in self._optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{name}": value for name, value in state.items()}
        kept.write(self.folder, kept.Checkpoint(self.step, tensors, _told(self.recipe)))

    def _restore(self, before: kept.Checkpoint) -> None:
        import torch

        differs = [key for key, value in _told(self.recipe).items() if before.recipe.get(key) != value]
        if differs:
            raise ModelError(
                f"{self.folder} holds a run whose {', '.join(differs)} is another; "
                "give it the recipe that it had, or another folder"
            )
        for kind, into in (("model", self._parameters), ("average", self._average), ("buffer", self._buffers)):
            found = before.part(kind)
            wrong = sorted(found.keys() ^ into.keys())
            if wrong:
                raise ModelError(
                    f"{self.folder} holds a run of other modules: {wrong[0]} is in only one; name another folder"
                )
            with torch.no_grad():
                for name, value in into.items():
                    value.copy_(found[name])
        state: dict[int, dict[str, torch.Tensor]] = {}
        for key, value in before.part("optimizer").items():
            number, name = key.split(".", 1)
            state.setdefault(int(number), {})[name] = value
        self._optimizer.load_state_dict({"state": state, "param_groups": self._optimizer.state_dict()["param_groups"]})
        self.step = before.step


class _Averaged:
    def __init__(self, run: _Run) -> None:
        self._run = run
        self._own: dict[str, torch.Tensor] = {}

    def __enter__(self) -> None:
        import torch

        self._own = {name: value.detach().clone() for name, value in self._run._parameters.items()}
        with torch.no_grad():
            for name, value in self._run._parameters.items():
                value.copy_(self._run._average[name])
        for module in self._run.task.modules.values():
            module.eval()

    def __exit__(self, *error: object) -> None:
        import torch

        with torch.no_grad():
            for name, value in self._run._parameters.items():
                value.copy_(self._own[name])


def _told(recipe: Recipe) -> dict[str, object]:
    """The recipe as it is kept: what changes no step is left out."""
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in asdict(recipe).items()
        if key not in ("keep_every", "sample_every")
    }
