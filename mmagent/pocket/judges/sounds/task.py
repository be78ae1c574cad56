"""Training the network that hears, on all compositions: one that never heard a door thrice knew a door by its count.

Shapes: B sounds, F bands, T frames, C classes (the last is none).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image as pil
from torch.nn import functional

from mmagent.pocket.judges.facts import NONE
from mmagent.pocket.judges.sounds.augment import augmented
from mmagent.pocket.judges.sounds.mel import log_mel
from mmagent.pocket.judges.sounds.net import Hearing
from mmagent.pocket.judges.sounds.nonsense import KINDS, nonsense
from mmagent.pocket.world import sounds
from mmagent.pocket.world.catalogue import catalogue
from mmagent.training.loop import Recipe

BATCH = 32
RECIPE = Recipe(steps=1200, rate=2e-3, warmup=100, average=0.995, seed=640_002, keep_every=250, sample_every=1200)
SPOILT = 0.4
"""How many of the training sounds are nonsense."""


def classes() -> tuple[str, ...]:
    """The things that sound by name, and none."""
    return (*(thing.name for thing in catalogue().sounding), NONE)


class Labelled(NamedTuple):
    """Sounds and what they are."""

    bands: torch.Tensor  # [B, F, T]
    thing: torch.Tensor  # [B], classes
    times: torch.Tensor  # [B], once is 0; -1 of nonsense
    pitch: torch.Tensor  # [B], in the order of the world's pitches; -1 of nonsense


class SoundTask:
    """Trains a Hearing to say what sounds are of, how often and how high."""

    def __init__(self, batch: int = BATCH) -> None:
        torch.manual_seed(RECIPE.seed)
        self.classes = classes()
        self.net = Hearing(len(self.classes))
        self._batch = batch

    @property
    def modules(self) -> Mapping[str, torch.nn.Module]:
        return {"net": self.net}

    def batch(self, seed: int) -> Labelled:
        random = Random(seed)  # noqa: S311  # chance, not secrets
        samples, labels = [], []
        for _ in range(self._batch):
            if random.random() < SPOILT:
                samples.append(nonsense(random, random.choice(tuple(KINDS))))
                labels.append((len(self.classes) - 1, -1, -1))
            else:
                noise = sounds.draw(random)
                samples.append(sounds.render(noise))
                labels.append((self.classes.index(noise.thing), noise.count - 1, sounds.PITCHES.index(noise.pitch)))
        bands = log_mel(augmented(torch.from_numpy(np.stack(samples)), random))
        thing, times, pitch = torch.tensor(labels).T
        return Labelled(bands, thing, times, pitch)

    def losses(self, batch: Labelled) -> dict[str, torch.Tensor]:
        told = self.net(batch.bands)
        thing = functional.cross_entropy(told.thing, batch.thing)
        count = functional.cross_entropy(told.times, batch.times, ignore_index=-1)
        pitch = functional.cross_entropy(told.pitch, batch.pitch, ignore_index=-1)
        right = (told.thing.argmax(dim=1) == batch.thing).float().mean()
        return {"loss": thing + count + pitch, "thing": thing, "count": count, "pitch": pitch, "right": right}

    def sample(self, folder: Path, step: int) -> None:
        """Pictures of the frequencies of what is trained on."""
        bands = self.batch(step).bands[:16].flip(1).clamp(0, 1)
        folder.mkdir(parents=True, exist_ok=True)
        pil.fromarray(bands.flatten(0, 1).mul(255).byte().numpy()).save(folder / f"sample-{step:06d}.png")
