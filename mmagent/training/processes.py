"""One process or several that train one thing: each has a share of every step, and all have the same weights.

Gradients are summed over processes as one vector; nothing is wrapped, so a task's modules are called as anywhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mmagent.errors import ModelError

if TYPE_CHECKING:
    import torch
    from accelerate import Accelerator


class Processes:
    """This process among `world`, by an accelerator; alone without one."""

    def __init__(self, accelerator: Accelerator | None = None) -> None:
        self._accelerator = accelerator
        self.rank = accelerator.process_index if accelerator else 0
        self.world = accelerator.num_processes if accelerator else 1

    @property
    def first(self) -> bool:
        """Whether this one writes what is written once."""
        return self.rank == 0

    def share(self, step: int, n_batches: int) -> range:
        """The numbers of the step's batches that are this process's; ModelError if they cannot be shared evenly."""
        if n_batches % self.world:
            raise ModelError(
                f"a step of {n_batches} batches cannot be shared by {self.world} processes; "
                f"set accumulate to a multiple of {self.world}"
            )
        return range(step * n_batches + self.rank, (step + 1) * n_batches, self.world)

    def add(self, values: Sequence[float]) -> list[float]:
        """Numbers, each summed over processes in float64."""
        if self._accelerator is None or self.world == 1:
            return list(values)
        import torch

        mine = torch.tensor(list(values), dtype=torch.float64, device=self._accelerator.device)
        summed: torch.Tensor = self._accelerator.reduce(mine, "sum")
        return [float(value) for value in summed.tolist()]

    def add_gradients(self, parameters: Sequence[torch.Tensor]) -> None:
        """Give every parameter the sum of its gradients in all processes, where those that have none count as zero; a
        parameter without a gradient in any of them has none, as it would in one process alone."""
        if self._accelerator is None or self.world == 1:
            return
        import torch

        given = [value.grad if value.grad is not None else torch.zeros_like(value) for value in parameters]
        met = torch.tensor([float(value.grad is not None) for value in parameters], device=given[0].device)
        summed = self._accelerator.reduce(torch.cat([*(grad.flatten() for grad in given), met]), "sum")
        *sums, counts = summed.split([*(grad.numel() for grad in given), len(given)])
        for value, part, count in zip(parameters, sums, counts.tolist()):
            value.grad = part.view_as(value).clone() if count else None

    def any(self, here: bool) -> bool:
        """Whether it is so in any process: what one of them decides, all do."""
        return here if self.world == 1 else bool(self.add([float(here)])[0])

    def wait(self) -> None:
        """Until all are here."""
        if self._accelerator is not None:
            self._accelerator.wait_for_everyone()
