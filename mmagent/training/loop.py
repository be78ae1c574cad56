"""The loop of every training: batches in, steps, an average of the weights, checkpoints; it knows no task.

A step is a pure function of the weights, the seed and its number: all random numbers, those of the batch and those
that torch draws, come from these two. A run that was stopped goes on bit for bit.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blake3 import blake3

from mmagent.errors import ModelError
from mmagent.training import checkpoint as kept
from mmagent.training.log import LOG, Log, Report
from mmagent.training.processes import Processes
from mmagent.training.recipe import Recipe
from mmagent.training.task import Course, Task

if TYPE_CHECKING:
    import torch
    from accelerate import Accelerator

__all__ = ["LOG", "Course", "Recipe", "Report", "Task", "fit"]


def fit(
    task: Task | Course,
    recipe: Recipe,
    folder: Path,
    *,
    minutes: float = math.inf,
    report: Report | None = None,
    stop: Callable[[], bool] = lambda: False,
    accelerator: Accelerator | None = None,
) -> int:
    """Train the task in `folder`, from where its run was left, until `steps` or for so many minutes; the step it is at.

    When it returns, the modules hold the averaged weights. ModelError if the folder holds a run of another recipe.
    With an `accelerator`, its processes share every step; the first of them writes.
    """
    run = _Run(task, recipe, folder, Processes(accelerator), report)
    end = time.monotonic() + minutes * 60
    while run.step < recipe.steps and not run.processes.any(time.monotonic() >= end or stop()):
        run.advance()
        if run.step % recipe.keep_every == 0:
            run.keep()
        if run.step % recipe.sample_every == 0 and run.processes.first:
            with run.averaged():
                task.sample(folder, run.step)
    run.keep()
    run.processes.wait()
    run.averaged().__enter__()
    return run.step


class _Run:
    def __init__(
        self, task: Task | Course, recipe: Recipe, folder: Path, processes: Processes, report: Report | None
    ) -> None:
        import torch

        self.task, self.folder, self.processes = task, folder, processes
        self.step = 0
        self._log = Log(folder, recipe, report)
        self._parameters = {
            f"{name}.{key}": value
            for name, module in task.modules.items()
            for key, value in module.named_parameters()
            if value.requires_grad
        }
        self._buffers = {
            f"{name}.{key}": value for name, module in task.modules.items() for key, value in module.named_buffers()
        }
        before = kept.read(folder)
        self.recipe = recipe = recipe.on(self._device, None if before is None else before.recipe)
        # Without an average the weights stand for it themselves.
        self._average = {
            name: value.detach().clone() if recipe.average else value.detach()
            for name, value in self._parameters.items()
        }
        self._optimizer = torch.optim.AdamW(
            self._parameters.values(), lr=recipe.rate, betas=recipe.betas, weight_decay=recipe.decay
        )
        if before is not None:
            self._restore(before)

    @property
    def _device(self) -> torch.device:
        return next(iter(self._parameters.values())).device

    def advance(self) -> None:
        """One step."""
        import torch

        for group in self._optimizer.param_groups:
            group["lr"] = self.recipe.rate_at(self.step)
        for module in self.task.modules.values():
            module.train()
        losses = self._backward()
        parameters: list[torch.Tensor] = list(self._parameters.values())
        self.processes.add_gradients(parameters)
        told = self._told({name: float(value) for name, value in losses.items()})
        told["norm"] = float(torch.nn.utils.clip_grad_norm_(parameters, self.recipe.clip))
        self._refuse(told)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self.step += 1
        if self.recipe.average:
            share = 1 - min(self.recipe.average, (1 + self.step) / (10 + self.step))
            torch._foreach_lerp_(list(self._average.values()), parameters, share)
        if self.processes.first:
            self._log.tell(self.step, told)

    def _refuse(self, told: Mapping[str, float]) -> None:
        """ModelError before a step that would make weights of what is no number."""
        for name, what in (("loss", "loss"), ("norm", "gradient's norm")):
            if not math.isfinite(told[name]):
                raise ModelError(
                    f"the {what} of step {self.step + 1} is {told[name]}; the weights are as they were before it. Lower "
                    "the rate and begin anew in another folder, or look at the data"
                )

    def _backward(self) -> dict[str, torch.Tensor]:
        """Add the gradients of this process's batches of the step; its share of each loss."""
        numbers = self.processes.share(self.step, self.recipe.accumulate)
        seeds = [self._seed(number) for number in numbers]
        if not isinstance(self.task, Course):
            shares = {"": 1 / self.recipe.accumulate}
            batches = [(seed, self.task.batch(seed), shares) for seed in seeds]
        else:
            batches = self._weighed(self.task, [(seed, self.task.at(at, seed)) for at, seed in zip(numbers, seeds)])
        losses: dict[str, torch.Tensor] = {}
        for seed, batch, shares in batches:
            for name, value in self._losses(seed, batch, shares).items():
                losses[name] = losses[name] + value.detach() if name in losses else value.detach()
        return losses

    def _weighed(self, task: Course, batches: list[tuple[int, Any]]) -> list[tuple[int, Any, dict[str, float]]]:
        """Each batch with the share of the step's things that it holds, for each term."""
        terms = list(task.terms)
        counted = [task.counts(batch) for _, batch in batches]
        totals = self.processes.add([sum(counts.get(name, 0) for counts in counted) for name in terms])
        whole = dict(zip(terms, totals))
        return [
            (seed, batch, {name: counts[name] / whole[name] for name in terms if counts.get(name)})
            for (seed, batch), counts in zip(batches, counted)
        ]

    def _losses(self, seed: int, batch: Any, shares: Mapping[str, float]) -> Mapping[str, torch.Tensor]:
        """The batch's share of each loss of the step, its gradients added to those of the parameters."""
        import torch

        torch.manual_seed(seed)
        device = self._device
        with torch.autocast(device.type, torch.bfloat16, enabled=self.recipe.precision == "bf16"):
            found = dict(self.task.losses(batch))
        even = 1 / self.recipe.accumulate
        shared = {name: value * shares.get(name, even) for name, value in found.items()}
        if isinstance(self.task, Course):
            weighed = [shared[name] * weight for name, weight in self.task.terms.items() if name in shared]
            shared["loss"] = torch.stack(weighed).sum() if weighed else torch.zeros((), device=device)
        if shared["loss"].requires_grad:
            shared["loss"].backward()  # type: ignore[no-untyped-call]  # torch leaves it so
        return shared

    def _told(self, losses: dict[str, float]) -> dict[str, float]:
        """The losses of the whole step."""
        if self.processes.world == 1:
            return losses
        # Processes may have met unlike terms; all of them name the same ones in the same order.
        names = sorted({*losses, "loss", *(self.task.terms if isinstance(self.task, Course) else ())})
        return dict(zip(names, self.processes.add([losses.get(name, 0.0) for name in names])))

    def _seed(self, number: int) -> int:
        """Where the random numbers of a batch begin: a function of the run's seed and the batch's number."""
        return int.from_bytes(blake3(f"{self.recipe.seed}\0{number}".encode()).digest(length=8)) >> 1

    def averaged(self) -> _Averaged:
        """The modules with the averaged weights, as long as the block lasts."""
        return _Averaged(self)

    def keep(self) -> None:
        """Write the checkpoint, once for all processes."""
        if not self.processes.first:
            return
        tensors = {f"model.{name}": value.detach() for name, value in self._parameters.items()}
        tensors |= {f"buffer.{name}": value.detach() for name, value in self._buffers.items()}
        if self.recipe.average:
            tensors |= {f"average.{name}": value for name, value in self._average.items()}
        for number, state in self._optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{name}": value for name, value in state.items()}
        kept.write(self.folder, kept.Checkpoint(self.step, tensors, self.recipe.told()))

    def _restore(self, before: kept.Checkpoint) -> None:
        import torch

        differs = self.recipe.differs(before.recipe)
        if differs:
            raise ModelError(
                f"{self.folder} holds a run whose {', '.join(differs)} is another; "
                "give it the recipe that it had, or another folder"
            )
        kinds: dict[str, Mapping[str, torch.Tensor]] = {"model": self._parameters, "buffer": self._buffers}
        if self.recipe.average:
            kinds["average"] = self._average
        for kind, into in kinds.items():
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
