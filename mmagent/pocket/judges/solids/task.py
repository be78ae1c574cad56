"""Training the network that feels, on clouds that scanners and generators have handled.

Shapes: B clouds of P = 1,024 points.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn import functional

from mmagent.pocket.judges.facts import NONE
from mmagent.pocket.judges.solids.net import Feeling
from mmagent.pocket.judges.solids.nonsense import KINDS, nonsense
from mmagent.pocket.world import solids
from mmagent.pocket.world.catalogue import catalogue
from mmagent.training.loop import Recipe

Array = np.ndarray[Any, np.dtype[Any]]

BATCH = 32
RECIPE = Recipe(steps=1500, rate=2e-3, warmup=100, average=0.995, seed=640_003, keep_every=250, sample_every=1500)
SPOILT = 0.4
"""How many of the training clouds are nonsense."""


def classes() -> tuple[str, ...]:
    """The things that have a shape in space by name, and none."""
    return (*(thing.name for thing in catalogue().solid), NONE)


class Labelled(NamedTuple):
    """Clouds and whose shapes they are."""

    points: torch.Tensor  # [B, P, 3]
    thing: torch.Tensor  # [B], the place of its name among the classes


class SolidTask:
    """Trains a Feeling to say whose shape a cloud of points is."""

    def __init__(self, batch: int = BATCH) -> None:
        torch.manual_seed(RECIPE.seed)
        self.classes = classes()
        self.net = Feeling(len(self.classes))
        self._batch = batch

    @property
    def modules(self) -> Mapping[str, torch.nn.Module]:
        return {"net": self.net}

    def batch(self, seed: int) -> Labelled:
        random = Random(seed)  # noqa: S311  # chance, not secrets
        clouds, things = [], []
        for _ in range(self._batch):
            if random.random() < SPOILT:
                clouds.append(nonsense(random, random.choice(tuple(KINDS))))
                things.append(len(self.classes) - 1)
            else:
                cloud = solids.draw(random)
                clouds.append(solids.render(cloud))
                things.append(self.classes.index(cloud.thing))
        return Labelled(torch.from_numpy(np.stack([worn(one, random) for one in clouds])), torch.tensor(things))

    def losses(self, batch: Labelled) -> dict[str, torch.Tensor]:
        logits = self.net(batch.points)
        right = (logits.argmax(dim=1) == batch.thing).float().mean()
        return {"loss": functional.cross_entropy(logits, batch.thing), "right": right}

    def sample(self, folder: Path, step: int) -> None:
        """The clouds of a batch, as numbers."""
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / f"sample-{step:06d}.npy", self.batch(step).points.numpy())


def worn(points: Array, random: Random) -> Array:
    """A cloud after handling: some points gone, a few astray, all a little off; still so many."""
    chance = np.random.default_rng(random.getrandbits(32))
    left = points[chance.permutation(len(points))[: round(len(points) * chance.uniform(0.6, 1))]]
    out = left[chance.permutation(len(points)) % len(left)]
    out = out + chance.normal(0, chance.uniform(0, 0.015), out.shape)
    astray = chance.uniform(size=len(out)) < chance.uniform(0, 0.01)
    out[astray] = chance.uniform(-1, 1, (astray.sum(), 3))
    return out.astype(np.float32)
