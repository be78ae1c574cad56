"""The judge of pictures and videos at work: pixels to facts.

Shapes: N pictures or videos, 8 frames, uint8, 64 × 64.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from mmagent.pocket.judges import shipped
from mmagent.pocket.judges.facts import NONE, Seen, Spot, Watched
from mmagent.pocket.judges.pictures.ground import background
from mmagent.pocket.judges.pictures.motion import motion
from mmagent.pocket.judges.pictures.net import CELL, SIZE, Sight, shown
from mmagent.pocket.judges.pictures.task import classes

Array = np.ndarray[Any, np.dtype[Any]]

FOUND = 0.3
"""The height from which a peak of the heatmap is something."""
SURE = 0.6
"""The probability from which something is a thing of the world."""
APART = 2
"""Cells about a peak in which there is no other."""
INSIDE = 0.45
"""How near to the middle of a thing, as a share of its size, no fainter peak is another thing."""
LOOKS = 0.92, 1.0, 1.08
"""Each thing is looked at from a little farther and nearer too, since its size is not told exactly."""
AT_ONCE = 64
MOST_FRAMES = 6
"""Frames of a video that must show the one thing alone."""


class Eye:
    """Sees what pictures and videos show. It takes a second for some 500 pictures on one core."""

    def __init__(self, net: Sight) -> None:
        self._net = net
        self._classes = classes()

    @classmethod
    def load(cls, folder: Path = shipped.WEIGHTS) -> Eye:
        """The judge whose weights lie in a folder; for errors see `shipped.load`."""
        names = classes()
        return cls(shipped.load(Sight(len(names)), "pictures", names, folder))

    def see(self, pictures: Array) -> list[Seen]:
        """What pictures `[N, 64, 64, 3]` show."""
        return [
            Seen(background(picture, spots), spots)
            for picture, spots in zip(pictures, self._spots(pictures), strict=True)
        ]

    def watch(self, videos: Array) -> list[Watched]:
        """What videos `[N, 8, 64, 64, 3]` show."""
        frames = self.see(videos.reshape(-1, *videos.shape[2:]))
        n = videos.shape[1]
        return [_watched(frames[first : first + n]) for first in range(0, len(frames), n)]

    def _spots(self, pictures: Array) -> Iterator[tuple[Spot, ...]]:
        for first in range(0, len(pictures), AT_ONCE):
            batch = torch.from_numpy(pictures[first : first + AT_ONCE]).permute(0, 3, 1, 2).float() / 255
            with torch.inference_mode():
                yield from self._look(batch)

    def _look(self, pictures: torch.Tensor) -> Iterator[tuple[Spot, ...]]:
        cells = self._net.find(pictures.contiguous(memory_format=torch.channels_last))
        height = torch.sigmoid(cells.centre)
        highest = functional.max_pool2d(height, 2 * APART + 1, 1, APART)
        picture, y, x = ((height == highest) & (height >= FOUND)).nonzero(as_tuple=True)
        order = height[picture, y, x].argsort(descending=True)
        picture, y, x = picture[order], y[order], x[order]
        if not len(picture):
            yield from ((),) * len(pictures)
            return
        place = CELL * (torch.stack([x, y], dim=1) + 0.5 + cells.offset[picture, :, y, x])
        size = SIZE * cells.size[picture, y, x].exp()
        looks = [shown(pictures, picture, place, size * share) for share in LOOKS]
        kinds = sum(self._net.name(look.contiguous(memory_format=torch.channels_last)).softmax(dim=1) for look in looks)
        chances, best = (kinds / len(LOOKS))[:, :-1].max(dim=1)
        found: list[list[Spot]] = [[] for _ in pictures]
        for number, (across, down), edge, sure, kind in zip(
            picture.tolist(), place.tolist(), size.tolist(), chances.tolist(), best.tolist(), strict=True
        ):
            if all(max(abs(across - one.x), abs(down - one.y)) > INSIDE * one.size for one in found[number]):
                found[number].append(Spot(self._classes[kind] if sure >= SURE else NONE, edge, across, down, sure))
        yield from (tuple(sorted(spots, key=lambda spot: spot.x)) for spots in found)


def _watched(frames: Sequence[Seen]) -> Watched:
    alone = [seen.spots[0] if len(seen.spots) == 1 else None for seen in frames]
    name, often = (
        Counter(spot.name for spot in alone if spot is not None).most_common(1)[0] if any(alone) else (NONE, 0)
    )
    ground, seen = Counter(frame.background for frame in frames).most_common(1)[0]
    return Watched(
        ground if seen >= MOST_FRAMES else NONE,
        name if often >= MOST_FRAMES else NONE,
        motion(alone),
    )
