"""Video encoders out of a checkpoint: an image encoder over frames in order of time, or one of whole videos."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from mmagent.checkpoint.place import locate
from mmagent.checkpoint.vision import tubelets
from mmagent.checkpoint.vision.choice import Choice
from mmagent.checkpoint.vision.facts import Facts, facts
from mmagent.checkpoint.vision.tower import Tower

if TYPE_CHECKING:
    import numpy as np
    import PIL.Image

    Array = np.ndarray[Any, np.dtype[Any]]

FRAMES = 8
"""Frames that are taken where neither the user nor the model says how many."""
BATCH = 16
"""Frames that go through an image encoder together."""


def video_facts(choice: Choice, n_frames: int | None) -> Facts:
    """What the checkpoint tells of so many frames (None: as many as it takes); nothing while it is not here."""
    row = tubelets.row_of(choice)
    if row is not None:
        return tubelets.facts(choice, row, n_frames)
    return facts(choice).times(n_frames or FRAMES)


def load_video(choice: Choice, n_frames: int | None) -> FrameTower | tubelets.TubeletTower:
    """Load what `choice` names, for `n_frames` of each video; ModelError says what does not fit and why."""
    locate(choice.model, revision=choice.revision)  # downloads it, so that its config tells what it is
    row = tubelets.row_of(choice)
    if row is not None:
        return tubelets.TubeletTower.load(choice, row, n_frames)
    return FrameTower(Tower.load(choice), n_frames or FRAMES)


class FrameTower:
    """An image encoder that is given the frames of videos, `n_frames` of each."""

    def __init__(self, tower: Tower, n_frames: int) -> None:
        self.tower, self.n_frames = tower, n_frames

    def encode(
        self, videos: Sequence[Sequence[PIL.Image.Image]], progress: Callable[[int, int], None]
    ) -> list[tuple[Array, Array]]:
        """The states `[L, D]` of each video, those of all its frames, and which of them count, `[L]`."""
        import numpy as np

        frames = [frame for video in videos for frame in video]
        made: list[tuple[Array, Array | None]] = []
        for begin in range(0, len(frames), BATCH):
            progress(begin, len(frames))
            made += self.tower.encode(frames[begin : begin + BATCH])
        masks = [np.ones(len(states), bool) if mask is None else mask for states, mask in made]
        each = [slice(begin, begin + self.n_frames) for begin in range(0, len(frames), self.n_frames)]
        return [(np.concatenate([states for states, _ in made[one]]), np.concatenate(masks[one])) for one in each]
