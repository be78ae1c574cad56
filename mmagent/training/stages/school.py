"""What every stage is given beside its own options: the model, its data as lessons, and the generators."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from mmagent.errors import ConversationError
from mmagent.model.pieces import Seen
from mmagent.training.lessons import Lesson, Teacher
from mmagent.training.making import Maker
from mmagent.training.order import WINDOW, Order

if TYPE_CHECKING:
    from mmagent.model.parts import Parts
    from mmagent.training.data.bad import BadRecords
    from mmagent.training.data.mix import Mix
    from mmagent.training.data.record import Record

T = TypeVar("T")


@dataclass(frozen=True)
class School:
    """`folder` is where frozen states are kept, in files of this `part`; `batch` is the records of a batch, `window`
    the batches among which records are sorted by length, `maker` gives a modality's generator, and `precision` is what
    the loop computes in."""

    parts: Parts
    mix: Mix
    teacher: Teacher
    maker: Callable[[str], Maker]
    folder: Path
    batch: int
    bad: BadRecords | None = None
    part: str = "0"
    window: int = WINDOW
    precision: str = "fp32"

    def lessons(self, *, words: bool, signs: bool, media: bool = False) -> Order[Lesson]:
        """The records' lessons, with words and signal ids supervised, or one of them; records without any are bad,
        and those that show no media where these are `media` to learn from."""
        base = self.parts.rows.table.base

        def prepare(record: Record) -> Lesson:
            lesson = self.teacher.lesson(record)
            if media and not any(isinstance(piece, Seen) for piece in lesson.pieces):
                raise ConversationError("the record shows no media, from which input projectors learn")
            kept = tuple(at for at in lesson.supervised if (signs if lesson.id_at(at) >= base else words))
            if not kept:
                raise ConversationError(
                    f"nothing in the record is learnt by {'words' if words else 'signal ids'} alone"
                )
            return replace(lesson, supervised=kept, spans=lesson.spans if signs else ())

        return self.ordered(prepare, lambda lesson: lesson.length)

    def ordered(self, prepare: Callable[[Record], T], length: Callable[[T], int]) -> Order[T]:
        """What is made of the records, in batches."""
        return Order(self.mix, self.batch, prepare, length, self.bad, self.window)
