"""Video encoders out of a checkpoint: an image encoder over frames in order of time, or one of whole videos."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mmagent.checkpoint.place import locate
from mmagent.checkpoint.vision import tubelets
from mmagent.checkpoint.vision.choice import Choice
from mmagent.checkpoint.vision.facts import Facts, facts
from mmagent.checkpoint.vision.tower import Tower
from mmagent.errors import ModelError

if TYPE_CHECKING:
    import numpy as np
    import PIL.Image

    Array = np.ndarray[Any, np.dtype[Any]]

FRAMES = 8
"""Frames that are taken where neither the user nor the model says how many."""
BATCH = 16
"""Frames that go through an image encoder together."""


def video_facts(choice: Choice, n_frames: int | None, pool: int = 1) -> Facts:
    """What the checkpoint tells of so many frames (None: as many as it takes); nothing while it is not here."""
    row = tubelets.row_of(choice)
    if row is not None:
        _unpooled(choice, pool)
        return tubelets.facts(choice, row, n_frames)
    found = facts(choice)
    if pool > 1 and found.tokens is not None:
        found = replace(found, tokens=math.ceil(_side(found.tokens, choice.model) / pool) ** 2)
    return found.times(n_frames or FRAMES)


def load_video(choice: Choice, n_frames: int | None, pool: int = 1) -> FrameTower | tubelets.TubeletTower:
    """Load what `choice` names, for `n_frames` of each video, `pool` × `pool` patches as one; ModelError says what does not fit and why."""
    locate(choice.model, revision=choice.revision)  # downloads it, so that its config tells what it is
    row = tubelets.row_of(choice)
    if row is not None:
        _unpooled(choice, pool)
        return tubelets.TubeletTower.load(choice, row, n_frames)
    return FrameTower(Tower.load(choice), n_frames or FRAMES, pool)


def _unpooled(choice: Choice, pool: int) -> None:
    if pool > 1:
        raise ModelError(f"{choice.model} sees whole videos, whose tubelets are not pooled; leave pool at 1")


def _side(n_patches: int, model: str) -> int:
    """How many patches lie in a row."""
    side = math.isqrt(n_patches)
    if side**2 != n_patches:
        raise ModelError(f"{model} gives {n_patches} states of a frame, no square of patches; leave pool at 1")
    return side


class FrameTower:
    """An image encoder that is given the frames of videos, `n_frames` of each."""

    def __init__(self, tower: Tower, n_frames: int, pool: int = 1) -> None:
        self.tower, self.n_frames, self.pool = tower, n_frames, pool

    def encode(
        self, videos: Sequence[Sequence[PIL.Image.Image]], progress: Callable[[int, int], None]
    ) -> list[tuple[Array, Array]]:
        """The states `[L, D]` of each video, those of all its frames, and which of them count, `[L]`."""
        import numpy as np

        frames = [frame for video in videos for frame in video]
        made: list[tuple[Array, Array | None]] = []
        for begin in range(0, len(frames), BATCH):
            progress(begin, len(frames))
            made += map(self._pooled, self.tower.encode(frames[begin : begin + BATCH]))
        masks = [np.ones(len(states), bool) if mask is None else mask for states, mask in made]
        each = [slice(begin, begin + self.n_frames) for begin in range(0, len(frames), self.n_frames)]
        return [(np.concatenate([states for states, _ in made[one]]), np.concatenate(masks[one])) for one in each]

    def _pooled(self, frame: tuple[Array, Array | None]) -> tuple[Array, Array | None]:
        """The means of squares of patches, row by row; those at the edges are of as many as there are."""
        import numpy as np

        states, mask = frame
        if self.pool == 1:
            return frame
        if mask is not None:
            raise ModelError(
                f"{self.tower.choice.model} gives patches of any number, which are not pooled; leave pool at 1"
            )
        side = _side(len(states), self.tower.choice.model)
        begins = np.arange(0, side, self.pool)
        sums = np.add.reduceat(np.add.reduceat(states.reshape(side, side, -1), begins, axis=0), begins, axis=1)
        counts = np.diff(np.append(begins, side))
        return (sums / np.outer(counts, counts)[..., None]).reshape(-1, states.shape[1]).astype(states.dtype), None
