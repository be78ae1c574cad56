"""The judges at work on what was made: facts, and vectors from inside them in which Fréchet distances are taken.

What lies between two layers of a judge is no fact that it tells, so a distance sees what shares of right answers do not:
things that are all alike, smeared edges, odd places. Shapes: N media.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from mmagent.pocket.judges import shipped
from mmagent.pocket.judges.facts import Facts, Seen
from mmagent.pocket.judges.pictures.eye import Eye
from mmagent.pocket.judges.pictures.net import Sight, shown
from mmagent.pocket.judges.pictures.task import classes as things
from mmagent.pocket.judges.sounds.ear import Ear
from mmagent.pocket.judges.sounds.mel import log_mel
from mmagent.pocket.judges.sounds.net import Hearing
from mmagent.pocket.judges.sounds.task import classes as sounding

Array = np.ndarray[Any, np.dtype[Any]]
Judge = Callable[[Array], tuple[Sequence[Facts], Array]]
"""Of media `[N, …]` the facts, and features `[M, D]`: M is N, but for clips, of which each frame has its own."""

AT_ONCE = 64
NAMED = 96
"""What the namer's last layer reads of a thing."""


def pictures() -> Judge:
    """Judges uint8 pictures `[N, 64, 64, 3]`."""
    eye, net = _eye()

    def judge(given: Array) -> tuple[Sequence[Facts], Array]:
        seen = eye.see(given)
        return seen, of_pictures(net, given, seen)

    return judge


def clips() -> Judge:
    """Judges uint8 clips `[N, F, 64, 64, 3]`."""
    eye, net = _eye()

    def judge(given: Array) -> tuple[Sequence[Facts], Array]:
        frames = given.reshape(-1, *given.shape[2:])
        return eye.watch(given), of_pictures(net, frames, eye.see(frames))

    return judge


def sounds() -> Judge:
    """Judges float32 samples `[N, 32000]`."""
    names = sounding()
    ear, net = Ear.load(), shipped.load(Hearing(len(names)), "sounds", names)
    return lambda given: (ear.hear(given), of_sounds(net, given))


def _eye() -> tuple[Eye, Sight]:
    names = things()
    return Eye.load(), shipped.load(Sight(len(names)), "pictures", names)


def of_pictures(net: Sight, given: Array, seen: Sequence[Seen]) -> Array:
    """Features `[N, 144]` of pictures in which that was seen.

    48 numbers are the finder's, of the whole picture, 96 are the namer's, of the things in it, 0 without any; means of either.
    """
    parts = []
    with torch.inference_mode():
        for first in range(0, len(given), AT_ONCE):
            batch = torch.from_numpy(given[first : first + AT_ONCE]).permute(0, 3, 1, 2).float() / 255
            fine = net.find.fine(batch * 2 - 1)
            whole = (fine + net.find.coarse(fine)).mean(dim=(2, 3))  # [B, 48]
            parts.append(torch.cat([whole, _named(net, batch, seen[first : first + AT_ONCE])], dim=1).numpy())
    return np.concatenate(parts)


def _named(net: Sight, batch: torch.Tensor, seen: Sequence[Seen]) -> torch.Tensor:
    """The mean over the things that are seen in each picture, `[B, 96]`; 0 where there is none."""
    spots = [(number, spot) for number, one in enumerate(seen) for spot in one.spots]
    if not spots:
        return torch.zeros(len(batch), NAMED)
    picture = torch.tensor([number for number, _ in spots])
    place = torch.tensor([(spot.x, spot.y) for _, spot in spots])
    size = torch.tensor([spot.size for _, spot in spots])
    each = net.name.layers[:-1](shown(batch, picture, place, size) * 2 - 1)  # [spots, 96]
    total = torch.zeros(len(batch), NAMED).index_add_(0, picture, each)
    return total / torch.bincount(picture, minlength=len(batch)).clamp(min=1)[:, None]


def of_sounds(net: Hearing, given: Array) -> Array:
    """Features `[N, 96]` of sounds: what the last layer reads."""
    parts: list[Array] = []
    handle = net.mixed.register_forward_hook(lambda module, inputs, made: parts.append(made.numpy()))
    try:
        with torch.inference_mode():
            for first in range(0, len(given), AT_ONCE):
                net(log_mel(torch.from_numpy(given[first : first + AT_ONCE])))
    finally:
        handle.remove()
    return np.concatenate(parts)
