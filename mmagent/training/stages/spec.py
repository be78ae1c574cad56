"""What every stage's options have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Protocol

from pydantic import BaseModel, ConfigDict, Field

from mmagent.training.task import Course

if TYPE_CHECKING:
    from mmagent.model.parts import Parts
    from mmagent.training.order import Order
    from mmagent.training.stages.parted import Parted
    from mmagent.training.stages.school import School

Weight = Annotated[float, Field(ge=0)]
"""A term's weight in the loss; 0 leaves it out."""


class StageCourse(Course, Protocol):
    """A course whose frozen things can be made before the loop begins; `order` is that of its samples."""

    @property
    def order(self) -> Order[Any]:
        """Which samples make which batch."""
        ...

    def pack(self, samples: Sequence[Any]) -> None:
        """Have made and kept whatever frozen these samples need."""

    def given(self, samples: Sequence[Any]) -> Any:
        """The batch that these samples make."""
        ...

    def exchanged(self, batch: Any) -> tuple[Any, Collection[str]] | None:
        """The batch with media or targets of its samples exchanged among them, and the terms that should mind; None
        where there is nothing to exchange."""
        ...

    def flush(self) -> None:
        """Bring what was made to the disk."""

    def close(self) -> None:
        """Flush, and let other processes write."""


class Stage(BaseModel, ABC):
    """A stage of training: which parts it trains, and the course they take."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @abstractmethod
    def part(self, parts: Parts) -> Parted:
        """Say which parts are trained and which are frozen, and have it so."""

    @abstractmethod
    def course(self, school: School) -> StageCourse:
        """What the loop trains."""
