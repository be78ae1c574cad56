"""What files, screens and generators do to pictures that leaves them what they are; the judge must not mind it.

Shapes: B pictures of 64 × 64, floats in [0, 1].
"""

from __future__ import annotations

import io
from random import Random

import numpy as np
import torch
from PIL import Image as pil
from torch.nn import functional

SHIFT, SCALE = 1.5, 0.06
"""Pixels and share by which a picture is moved and made larger or smaller, at most."""


def augmented(pictures: torch.Tensor, random: Random) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures `[B, 3, 64, 64]` a little other than they were, and the maps of their coordinates, `[B, 3]`.

    A place p of a picture, in pixels, is at `s · (p - 32) + 32 + d` afterwards; a row of the maps is s, dx, dy.
    """
    chance = torch.Generator().manual_seed(random.getrandbits(62))
    n = len(pictures)

    def uniform(low: float, high: float, *shape: int) -> torch.Tensor:
        return torch.empty(n, *shape).uniform_(low, high, generator=chance)

    def now_and_then(share: float) -> torch.Tensor:
        return (uniform(0, 1, 1, 1, 1) < share).float()

    moved = now_and_then(0.7).view(n, 1)
    maps = torch.cat([1 + moved * uniform(-SCALE, SCALE, 1), moved * uniform(-SHIFT, SHIFT, 2)], dim=1)  # [B, 3]
    out = _moved(pictures, maps)
    out = torch.lerp(out, _blurred(out), now_and_then(0.5) * uniform(0, 1, 1, 1, 1))
    out = out * (1 + uniform(-0.05, 0.05, 3, 1, 1)) + uniform(-0.025, 0.025, 3, 1, 1)
    noise = torch.randn(out.shape, generator=chance)
    out = out + noise * now_and_then(0.5) * uniform(0, 0.035, 1, 1, 1)
    out = out.clamp(0, 1)
    for number in random.sample(range(n), n // 5):
        out[number] = _as_jpeg(out[number], random.randint(50, 95))
    return out, maps


def _moved(pictures: torch.Tensor, maps: torch.Tensor) -> torch.Tensor:
    scale, shift = maps[:, 0], maps[:, 1:] * 2 / 64
    theta = torch.zeros(len(maps), 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = 1 / scale
    theta[:, :, 2] = -shift / scale[:, None]
    grid = functional.affine_grid(theta, list(pictures.shape), align_corners=False)
    return functional.grid_sample(pictures, grid, padding_mode="border", align_corners=False)


def _blurred(pictures: torch.Tensor) -> torch.Tensor:
    """Blurred by about 0.9 pixels."""
    kernel = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    weight = (kernel[:, None] * kernel).expand(3, 1, 5, 5)
    return functional.conv2d(functional.pad(pictures, (2, 2, 2, 2), mode="replicate"), weight, groups=3)


def _as_jpeg(picture: torch.Tensor, quality: int) -> torch.Tensor:
    file = io.BytesIO()
    whole = picture.permute(1, 2, 0).mul(255).round().to(torch.uint8).numpy()
    pil.fromarray(whole).save(file, "JPEG", quality=quality)
    return torch.from_numpy(np.array(pil.open(file))).permute(2, 0, 1).float() / 255
