"""What the loop trains: a task, whose batches are drawn, or a course, which goes through data in an order of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    import torch


class Task(Protocol):
    """What is trained, on what, and what it should become better at. A step's loss is the mean of its batches'."""

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


@runtime_checkable
class Course(Protocol):
    """A task that goes through data, and whose loss is a sum of means over things of which batches hold unlike numbers.

    A step of several batches, on one process or on several, is what one batch of all of them would be: each term is
    the mean over all of the step's positions, spans or pairs.
    """

    @property
    def modules(self) -> Mapping[str, torch.nn.Module]:
        """As a task's."""
        ...

    @property
    def terms(self) -> Mapping[str, float]:
        """The weight of each term in the loss."""
        ...

    def at(self, number: int, seed: int) -> Any:
        """The batch of that number, counted from the run's first: a pure function of number and seed."""
        ...

    def counts(self, batch: Any) -> Mapping[str, int]:
        """Over how many things each term of the batch is a mean; a term that is missing is over none."""
        ...

    def losses(self, batch: Any) -> Mapping[str, torch.Tensor]:
        """A mean for each term that counts something, a scalar; what bears another name is told, as a mean over batches."""
        ...

    def sample(self, folder: Path, step: int) -> None:
        """As a task's."""
        ...
