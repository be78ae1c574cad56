"""The judge of sounds at work: samples to facts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from mmagent.pocket.judges import shipped
from mmagent.pocket.judges.facts import NONE, Heard
from mmagent.pocket.judges.sounds.mel import log_mel
from mmagent.pocket.judges.sounds.net import Hearing
from mmagent.pocket.judges.sounds.task import classes
from mmagent.pocket.world.sounds import PITCHES

Array = np.ndarray[Any, np.dtype[Any]]

SURE = 0.85
"""The probability from which something is a thing of the world: two at once are often taken for one at less."""
AT_ONCE = 64


class Ear:
    """Hears what sounds are of, how often and how high. It takes a second for some 500 sounds on one core."""

    def __init__(self, net: Hearing) -> None:
        self._net = net
        self._classes = classes()

    @classmethod
    def load(cls, folder: Path = shipped.WEIGHTS) -> Ear:
        """The judge whose weights lie in a folder; for errors see `shipped.load`."""
        names = classes()
        return cls(shipped.load(Hearing(len(names)), "sounds", names, folder))

    def hear(self, sounds: Array) -> list[Heard]:
        """What sounds `[N, 32000]`, float32 at 16 kHz, are of."""
        found: list[Heard] = []
        for first in range(0, len(sounds), AT_ONCE):
            with torch.inference_mode():
                told = self._net(log_mel(torch.from_numpy(sounds[first : first + AT_ONCE])))
            chances, things = told.thing.softmax(dim=1)[:, :-1].max(dim=1)
            for sure, thing, count, pitch in zip(
                chances.tolist(), things.tolist(), told.times.argmax(dim=1).tolist(), told.pitch.argmax(dim=1).tolist()
            ):
                known = sure >= SURE
                found.append(Heard(self._classes[thing], count + 1, PITCHES[pitch]) if known else Heard(NONE, 0, NONE))
        return found
