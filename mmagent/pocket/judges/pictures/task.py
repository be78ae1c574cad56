"""Training the eye.

Shapes: B pictures of 64 × 64, N objects in all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image as pil
from torch.nn import functional

from mmagent.pocket.judges.facts import NONE
from mmagent.pocket.judges.pictures.augment import augmented
from mmagent.pocket.judges.pictures.drawn import Drawn, training
from mmagent.pocket.judges.pictures.net import CELL, SIZE, Sight, shown
from mmagent.pocket.world.catalogue import catalogue
from mmagent.training.loop import Recipe

BATCH = 48
RECIPE = Recipe(steps=3000, rate=2e-3, warmup=100, average=0.995, seed=640_001, keep_every=250, sample_every=3000)
FOUND_IN = 16
"""Pictures of a batch in which things are found; they are named in all, since that takes longer to learn."""
N_CELLS = 16
OFF = 0.08
"""By how much of its size the place and the size of a thing may be told wrong."""


def classes() -> tuple[str, ...]:
    """The things of the world by name, and none."""
    return (*(thing.name for thing in catalogue().things), NONE)


class Objects(NamedTuple):
    """Pictures and the objects in them."""

    pictures: torch.Tensor  # [B, 3, 64, 64] in [0, 1]
    picture: torch.Tensor  # [N], which of the pictures
    kind: torch.Tensor  # [N], the place of its name among the classes
    size: torch.Tensor  # [N], pixels
    place: torch.Tensor  # [N, 2], x and y in cells


class PictureTask:
    """Trains a Sight to find what lies in pictures, and to name it."""

    def __init__(self, batch: int = BATCH) -> None:
        torch.manual_seed(RECIPE.seed)
        self.classes = classes()
        self.net = Sight(len(self.classes))
        self.net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub leaves it out
        self._batch = batch

    @property
    def modules(self) -> Mapping[str, torch.nn.Module]:
        return {"net": self.net}

    def batch(self, seed: int) -> Objects:
        random = Random(seed)  # noqa: S311  # chance, not secrets
        return objects([training(random) for _ in range(self._batch)], self.classes, random)

    def losses(self, batch: Objects) -> dict[str, torch.Tensor]:
        part = _first(batch, FOUND_IN)
        cells = self.net.find(part.pictures.contiguous(memory_format=torch.channels_last))
        number, y, x, item = _near(part)
        centre = _focal(cells.centre, _heat(part))
        size = (cells.size[number, y, x] - (part.size[item] / SIZE).log()).abs().mean()
        middle = torch.stack([x, y], dim=1) + 0.5
        offset = (cells.offset[number, :, y, x] - (part.place[item] - middle)).abs().mean()
        logits = self.net.name(_looked_at(batch).contiguous(memory_format=torch.channels_last))
        kind = functional.cross_entropy(logits, batch.kind)
        right = (logits.argmax(dim=1) == batch.kind).float().mean()
        loss = kind + 0.3 * centre + size + 0.5 * offset
        return {"loss": loss, "kind": kind, "centre": centre, "size": size, "offset": offset, "right": right}

    def sample(self, folder: Path, step: int) -> None:
        """A sheet of what is trained on."""
        pictures = self.batch(step).pictures[:32].mul(255).byte().permute(0, 2, 3, 1)
        sheet = np.concatenate(
            [np.concatenate(list(row), axis=1) for row in pictures.numpy().reshape(-1, 8, 64, 64, 3)]
        )
        folder.mkdir(parents=True, exist_ok=True)
        pil.fromarray(sheet).save(folder / f"sample-{step:06d}.png")


def objects(drawn: Sequence[Drawn], names: Sequence[str], random: Random) -> Objects:
    """Drawn pictures, augmented, and where things lie in them then."""
    plain = torch.from_numpy(np.stack([one.picture for one in drawn])).permute(0, 3, 1, 2).float() / 255
    pictures, maps = augmented(plain, random)
    rows = [
        (number, names.index(item.name), item.size, item.x, item.y)
        for number, one in enumerate(drawn)
        for item in one.placed
    ]
    table = torch.tensor(rows, dtype=torch.float32).reshape(-1, 5)
    number = table[:, 0].long()
    scale, shift = maps[number, :1], maps[number, 1:]
    place = (scale * (table[:, 3:] - 32) + 32 + shift).clamp(0, 63.99) / CELL
    return Objects(pictures, number, table[:, 1].long(), table[:, 2] * scale[:, 0], place)


def _first(batch: Objects, n: int) -> Objects:
    """The first n pictures and what is in them."""
    there = batch.picture < n
    return Objects(batch.pictures[:n], batch.picture[there], batch.kind[there], batch.size[there], batch.place[there])


def _heat(batch: Objects) -> torch.Tensor:
    """How near each cell is to the centre of something, `[B, 16, 16]`: 1 where it lies, falling as a Gaussian, then 0."""
    middles = torch.arange(N_CELLS) + 0.5
    heat = torch.zeros(len(batch.pictures), N_CELLS, N_CELLS)
    for number, (x, y) in zip(batch.picture.tolist(), batch.place, strict=True):
        square = (middles[:, None] - y) ** 2 + (middles - x) ** 2
        bump = torch.exp(-square / 1.5) * (square < 9)
        bump[int(y), int(x)] = 1.0
        heat[number] = torch.maximum(heat[number], bump)
    return heat


def _near(batch: Objects) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """The cells about the centre of each object, 3 × 3: picture, y, x and object."""
    steps = torch.arange(-1, 2)
    dy, dx = (step.flatten() for step in torch.meshgrid(steps, steps, indexing="ij"))
    x, y = (batch.place[:, axis, None].long() + step for axis, step in ((0, dx), (1, dy)))  # [N, 9]
    item = torch.arange(len(batch.place))[:, None].expand_as(x)
    inside = (x >= 0) & (y >= 0) & (x < N_CELLS) & (y < N_CELLS)
    item = item[inside]
    return batch.picture[item], y[inside], x[inside], item


def _focal(centre: torch.Tensor, heat: torch.Tensor) -> torch.Tensor:
    """The focal loss of a heatmap with soft negatives (Law and Deng 2018, arXiv:1808.01244, equation 1)."""
    is_centre = heat == 1
    found = torch.sigmoid(centre)
    at = -((1 - found) ** 2) * functional.logsigmoid(centre) * is_centre
    beside = -((1 - heat) ** 4) * found**2 * functional.logsigmoid(-centre) * ~is_centre
    return (at + beside).sum() / max(1, int(is_centre.sum()))


def _looked_at(batch: Objects) -> torch.Tensor:
    """The things of a batch as the namer is shown them, a little beside and larger or smaller, as finding is not exact."""
    n = len(batch.size)
    beside = batch.size[:, None] * torch.empty(n, 2).uniform_(-OFF, OFF)
    larger = torch.empty(n).uniform_(-OFF, OFF).exp()
    return shown(batch.pictures, batch.picture, batch.place * CELL + beside, batch.size * larger)
