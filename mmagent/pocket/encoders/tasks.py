"""The training of the encoders: heads that are thrown away afterwards tell what is heard and felt.

Shapes: B media, L states of width D.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from random import Random
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from mmagent.pocket.encoders.nets import N_STATES, SOLID_STATES, WIDTH, SolidEncoder, SoundEncoder
from mmagent.pocket.world import solids, sounds, splits
from mmagent.pocket.world.catalogue import catalogue
from mmagent.training.loop import Recipe

BATCH = 32
UNASKED = -100
"""In place of an answer: the question is not asked of this one."""
BENT = 7.0
"""Semitones by which sounds are bent at most."""


class Labelled(NamedTuple):
    """Media and what of them is to be told: for each question the number of the answer."""

    media: torch.Tensor
    answers: Mapping[str, torch.Tensor]


class Telling(ABC):
    """Trains an encoder by heads, one for each question: on all its states at once, or the same head on each state, whose
    answers are averaged, so that a state tells by itself what it is of."""

    seed: int
    recipe: Recipe

    def __init__(
        self, encoder: nn.Module, n_states: int, questions: Mapping[str, int], of_each: Collection[str] = ()
    ) -> None:
        torch.manual_seed(self.seed)
        self.encoder, self.of_each = encoder, of_each
        self.heads = nn.ModuleDict({
            name: nn.Linear(WIDTH if name in of_each else n_states * WIDTH, n) for name, n in questions.items()
        })  # fmt: skip
        self.dropped = nn.Dropout(0.1)

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        return {"encoder": self.encoder, "heads": self.heads}

    @abstractmethod
    def batch(self, seed: int) -> Labelled:
        """A batch, a pure function of the seed."""

    def losses(self, batch: Labelled) -> dict[str, torch.Tensor]:
        told = self._told(batch.media)
        each = {
            name: functional.cross_entropy(told[name], batch.answers[name], ignore_index=UNASKED) for name in told
        }  # fmt: skip
        return {"loss": torch.stack([*each.values()]).sum(), **each}

    def held_out(self, n: int = 512) -> dict[str, float]:
        """The share of right answers to each question, of so many media that are not trained on."""
        was = self.dropped.training
        self.dropped.eval()
        with torch.no_grad():
            batch = self.drawn(n)
            told = self._told(batch.media)
        self.dropped.train(was)
        return {name: float((told[name].argmax(dim=1) == batch.answers[name]).float().mean()) for name in told}

    @abstractmethod
    def drawn(self, n: int) -> Labelled:
        """Media that are not trained on."""

    def _told(self, media: torch.Tensor) -> dict[str, torch.Tensor]:
        states = self.dropped(functional.layer_norm(self.encoder(media), (WIDTH,)))  # [B, L, D]
        return {
            name: head(states).mean(dim=1) if name in self.of_each else head(states.flatten(1))
            for name, head in self.heads.items()
        }  # fmt: skip

    def sample(self, folder: Path, step: int) -> None:
        """There is nothing to look at."""


class SoundTask(Telling):
    """What is heard, how often, how high; on compositions that are trained on, in rooms of many kinds."""

    seed = 310_001
    recipe = Recipe(steps=3000, rate=2e-3, warmup=100, average=0.995, seed=seed, keep_every=250, sample_every=3000)

    def __init__(self) -> None:
        self.things = [thing.name for thing in catalogue().sounding]
        torch.manual_seed(self.seed)
        super().__init__(
            SoundEncoder(), N_STATES, {"thing": len(self.things), "count": 3, "pitch": 3}, ("thing", "pitch")
        )

    def batch(self, seed: int) -> Labelled:
        """Half of the sounds are bent by any number of semitones; of these it is not asked how high they are. So what
        a thing sounds like at a pitch of which it is never told is not unheard of. Some that are heard once end early, as
        what is heard three times does."""
        random = Random(seed)  # noqa: S311  # chance, not secrets
        drawn = [sounds.draw(random, splits.trained) for _ in range(BATCH)]
        bent = [round(random.uniform(-BENT, BENT) * 2) / 2 if random.random() < 0.5 else None for _ in drawn]
        batch = self._labelled(drawn, bent)
        for sound, count in zip(batch.media, batch.answers["count"].tolist(), strict=True):
            if count == 0 and random.random() < 0.5:
                _end(sound, random.uniform(0.3, 1.0))
        return batch._replace(media=_elsewhere(batch.media, seed))

    def drawn(self, n: int) -> Labelled:
        """Of compositions that are never trained on."""
        random = Random(~self.seed)  # noqa: S311
        return self._labelled([sounds.draw(random, splits.tested) for _ in range(n)], [None] * n)

    def _labelled(self, drawn: list[sounds.Noise], bent: list[float | None]) -> Labelled:
        samples = torch.from_numpy(np.stack([sounds.render(*one) for one in zip(drawn, bent, strict=True)]))
        pitches = [
            sounds.PITCHES.index(one.pitch) if by is None else UNASKED for one, by in zip(drawn, bent, strict=True)
        ]
        return Labelled(samples, {
            "thing": torch.tensor([self.things.index(one.thing) for one in drawn]),
            "count": torch.tensor([one.count - 1 for one in drawn]),
            "pitch": torch.tensor(pitches),
        })  # fmt: skip


class SolidTask(Telling):
    """Whose shape a cloud of points is."""

    seed = 310_002
    recipe = Recipe(steps=1500, rate=2e-3, warmup=100, average=0.995, seed=seed, keep_every=250, sample_every=1500)

    def __init__(self) -> None:
        self.things = [thing.name for thing in catalogue().solid]
        torch.manual_seed(self.seed)
        super().__init__(SolidEncoder(), SOLID_STATES, {"thing": len(self.things)})

    def batch(self, seed: int) -> Labelled:
        batch = self._labelled(Random(seed), BATCH)  # noqa: S311  # chance, not secrets
        chance = torch.Generator().manual_seed(seed)
        noise = 0.01 * torch.rand(1, generator=chance) * torch.randn(batch.media.shape, generator=chance)
        return batch._replace(media=batch.media + noise)

    def drawn(self, n: int) -> Labelled:
        return self._labelled(Random(~self.seed), n)  # noqa: S311

    def _labelled(self, random: Random, n: int) -> Labelled:
        drawn = [solids.draw(random) for _ in range(n)]
        points = torch.from_numpy(np.stack([solids.render(one) for one in drawn]))
        return Labelled(points, {"thing": torch.tensor([self.things.index(one.thing) for one in drawn])})


TASKS: Mapping[str, Callable[[], Telling]] = {"sounds": SoundTask, "solids": SolidTask}


def _end(samples: torch.Tensor, seconds: float) -> None:
    """Fade a sound `[S]` out so long after its beginning, in place; the ground of noise goes on, but fainter."""
    end = round(seconds * sounds.RATE)
    samples[end : end + 800] *= torch.linspace(1, 0.01, 800)
    samples[end + 800 :] *= 0.01


def _elsewhere(samples: torch.Tensor, seed: int) -> torch.Tensor:
    """Sounds `[B, S]` begun a little earlier or later, tilted in frequency, over noise of any loudness."""
    chance = torch.Generator().manual_seed(seed)
    n, length = samples.shape
    moved = torch.stack([
        functional.pad(row, (800, 800))[at : at + length]
        for row, at in zip(samples, torch.randint(400, 1200, (n,), generator=chance).tolist(), strict=True)
    ])  # fmt: skip
    frequency = torch.linspace(0, 1, length // 2 + 1)
    tilt = 10 ** (0.3 * torch.randn(n, 1, generator=chance) * (frequency - 0.3))
    tilted: torch.Tensor = torch.fft.irfft(torch.fft.rfft(moved) * tilt, length)
    noise = torch.randn(n, length, generator=chance) * 10 ** (torch.rand(n, 1, generator=chance) * 2 - 4)
    return tilted + noise * tilted.abs().amax(dim=1, keepdim=True)
