"""What the LLM has read of lessons before anything that trains, kept: a step reads what comes behind it alone."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from mmagent.training.lessons import Lesson
from mmagent.training.reading import Reading, read
from mmagent.training.resuming import begin, resume
from mmagent.training.shards.form import digest_of
from mmagent.training.shards.packed import Kept, Packed
from mmagent.training.states import frozen_digest

if TYPE_CHECKING:
    from torch import Tensor

    from mmagent.model.parts import Parts
    from mmagent.model.pieces import Piece


class Beginnings:
    """Keys and values of what lessons begin with, in a folder of its own below `folder`; other weights are another
    folder. What trains are the rows in of `modalities`, rows out and output projectors, of a model that `resumes`.

    A token of SmolLM2-135M takes 46 KB, one of a LLaMA of 7 B parameters 1 MB; lessons that begin alike share theirs.
    """

    def __init__(self, parts: Parts, modalities: Collection[str], folder: Path, part: str = "0") -> None:
        self._parts = parts
        rows = [parts.rows.table[name] for name in modalities]
        self._trained = {number for row in rows for number in (row.open, *row.signals)}
        made = {"states": "beginnings", "parts": frozen_digest(parts, but=modalities)}
        self.folder = folder / f"beginnings-{digest_of(made)[:16]}"
        self._packed = Packed(self.folder, made, part=part)

    def __len__(self) -> int:
        return len(self._packed)

    def read(self, lessons: Sequence[Lesson]) -> Reading:
        """As `reading.read`, and the same to rounding; gradients reach what comes behind the beginnings."""
        cuts = [self._cut(lesson) for lesson in lessons]
        if 0 in cuts:
            return read(self._parts, lessons)
        return resume(self._parts, lessons, cuts, self._of([lesson.pieces[:cut] for lesson, cut in zip(lessons, cuts)]))

    def pack(self, lessons: Sequence[Lesson]) -> None:
        """Have what lessons begin with read and kept."""
        self._of([lesson.pieces[:cut] for lesson in lessons if (cut := self._cut(lesson))])

    def flush(self) -> None:
        """Bring what was made to the disk."""
        self._packed.flush()

    def close(self) -> None:
        """Flush, and let other processes write."""
        self._packed.close()

    def _cut(self, lesson: Lesson) -> int:
        """How many pieces are frozen and predict nothing; none where prompts branch off, which are read together."""
        own = (at for at, piece in enumerate(lesson.pieces) if isinstance(piece, int) and piece in self._trained)
        return 0 if lesson.branches else max(0, min([*lesson.supervised, *own]) - 1)

    def _of(self, beginnings: Sequence[tuple[Piece, ...]]) -> list[Tensor]:
        """What is kept of each, read now where it is missing."""
        keys = [Lesson(pieces, (), (), 0).key for pieces in beginnings]
        missing = {key: pieces for key, pieces in zip(keys, beginnings) if key not in self._packed}
        for key, made in zip(missing, begin(self._parts, list(missing.values())) if missing else ()):
            self._packed.of(key, lambda made=made: Kept({"keys": made.float().cpu().numpy()}, {}))  # type: ignore[misc]  # mypy infers no lambda's default
        kept = {key: self._packed.get(key) for key in dict.fromkeys(keys)}
        found = {key: torch.from_numpy(item.arrays["keys"].copy()) for key, item in kept.items() if item is not None}
        return [found[key] for key in keys]
