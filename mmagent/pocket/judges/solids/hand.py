"""The judge of solids at work: points to facts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from mmagent.pocket.judges import shipped
from mmagent.pocket.judges.facts import NONE, Felt
from mmagent.pocket.judges.solids.net import Feeling
from mmagent.pocket.judges.solids.task import classes

Array = np.ndarray[Any, np.dtype[Any]]

SURE = 0.6
"""The probability from which something is the shape of a thing of the world."""
AT_ONCE = 64


class Hand:
    """Feels whose shapes clouds of points are."""

    def __init__(self, net: Feeling) -> None:
        self._net = net
        self._classes = classes()

    @classmethod
    def load(cls, folder: Path = shipped.WEIGHTS) -> Hand:
        """The judge whose weights lie in a folder; for errors see `shipped.load`."""
        names = classes()
        return cls(shipped.load(Feeling(len(names)), "solids", names, folder))

    def feel(self, clouds: Array) -> list[Felt]:
        """Whose shapes clouds `[N, P, 3]` are, float32."""
        found: list[Felt] = []
        for first in range(0, len(clouds), AT_ONCE):
            with torch.inference_mode():
                told = self._net(torch.from_numpy(clouds[first : first + AT_ONCE])).softmax(dim=1)
            for sure, thing in zip(*(row.tolist() for row in told[:, :-1].max(dim=1)), strict=True):
                found.append(Felt(self._classes[thing] if sure >= SURE else NONE))
        return found
