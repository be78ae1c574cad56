"""The picture autoencoder: 64 × 64 pictures to 16 × 16 × 4 latents and back, one for pictures and frames of videos.

Rombach et al. 2022 (arXiv:2112.10752, section 3.1) in small: an AutoencoderKL, trained here without a discriminator,
since the world is drawn in flat colours. Some noise is laid on the latents, so that the decoder is not put off by
what a diffusion model leaves undone. Shapes: B pictures, H × W pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from mmagent.pocket.world import scenes, splits, videos

if TYPE_CHECKING:
    import numpy as np
    import torch

    Array = np.ndarray[Any, np.dtype[Any]]

BATCH = 16
CROWD = 6
"""Scenes that a crowd is made of."""
NOISE = 0.1
"""Standard deviation of the noise, as a share of the latents' own."""


class AutoencoderTask:
    """Trains an AutoencoderKL on scenes, on frames of videos, and on crowds, which are fuller of what is hard to draw."""

    def __init__(self, batch: int = BATCH) -> None:
        self.vae = autoencoder()
        self._batch = batch

    @property
    def modules(self) -> Mapping[str, torch.nn.Module]:
        return {"vae": self.vae}

    def batch(self, seed: int) -> torch.Tensor:
        """Pictures in [-1, 1], `[B, 3, 64, 64]`: half of them crowds, a quarter scenes, a quarter frames."""
        return crowds_and_others(seed, self._batch)

    def losses(self, batch: torch.Tensor) -> dict[str, torch.Tensor]:
        import torch

        latents = self.vae.encode(batch).latent_dist
        drawn = latents.sample()  # [B, 4, 16, 16]
        noisy = drawn + NOISE * torch.rand(len(drawn), 1, 1, 1) * drawn.detach().std() * torch.randn_like(drawn)
        made = self.vae.decode(noisy).sample  # [B, 3, H, W]
        absolute = (made - batch).abs().mean()
        square = (made - batch).square().mean()
        edges = sum((made.diff(dim=axis) - batch.diff(dim=axis)).abs().mean() for axis in (2, 3))
        spread = latents.kl().mean() / drawn[0].numel()
        loss = absolute + square + 0.5 * edges + 1e-4 * spread
        return {"loss": loss, "psnr": -10 * torch.log10(square.detach() / 4), "kl": spread}

    def sample(self, folder: Path, step: int) -> None:
        """A sheet of held-out pictures over what becomes of them."""
        import torch
        from PIL import Image as pil

        batch = pictures(0, 16, tested=True)
        with torch.inference_mode():
            made = self.vae.decode(self.vae.encode(batch).latent_dist.mode()).sample.clamp(-1, 1)
        both = torch.stack([batch, made]).add(1).mul(127.5).round().to(torch.uint8)  # [2, B, 3, H, W]
        sheet = both.permute(0, 3, 1, 4, 2).reshape(128, -1, 3)
        folder.mkdir(parents=True, exist_ok=True)
        pil.fromarray(sheet.numpy()).save(folder / f"sample-{step:06d}.png")


def autoencoder() -> Any:
    """The network, an AutoencoderKL with random weights."""
    import torch
    from diffusers import AutoencoderKL

    channels = (32, 64, 96)
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=channels, layers_per_block=1, latent_channels=4, norm_num_groups=8, sample_size=64,
        mid_block_add_attention=False,
    )  # fmt: skip
    return vae.to(memory_format=torch.channels_last)


def pictures(seed: int, n: int, *, tested: bool = False) -> torch.Tensor:
    """Pictures of the world in [-1, 1], `[n, 3, 64, 64]`, a third of them frames of videos."""
    random = Random(seed)  # noqa: S311  # chance, not secrets
    allowed = splits.tested if tested else splits.trained
    return _pixels([_frame(random, allowed) if number % 3 == 2 else _scene(random, allowed) for number in range(n)])


def crowds_and_others(seed: int, n: int) -> torch.Tensor:
    """Pictures to learn from, in [-1, 1], `[n, 3, 64, 64]`."""
    random = Random(seed)  # noqa: S311  # chance, not secrets
    kinds = _crowd, _scene, _crowd, _frame
    return _pixels([kinds[number % len(kinds)](random, splits.trained) for number in range(n)])


Allowed = Callable[[Iterable[splits.Combination]], bool]


def _scene(random: Random, allowed: Allowed) -> Array:
    return scenes.render(scenes.draw(random, allowed=allowed))


def _frame(random: Random, allowed: Allowed) -> Array:
    return scenes.render(videos.frame(videos.draw(random, allowed), random.randrange(videos.N_FRAMES)))


def _crowd(random: Random, allowed: Allowed) -> Array:
    """Many things of any size on one background, over each other too."""
    drawn = [scenes.draw(random, allowed=allowed)]
    while len(drawn) < CROWD:
        more = scenes.draw(random, "single", allowed)
        if more.background == drawn[0].background:
            drawn.append(more)
    return scenes.render(replace(drawn[0], placed=tuple(item for scene in drawn for item in scene.placed)))


def _pixels(drawn: Sequence[Array]) -> torch.Tensor:
    import numpy as np
    import torch

    stacked = torch.from_numpy(np.stack(drawn)).permute(0, 3, 1, 2)
    return stacked.float().div(127.5).sub(1).contiguous(memory_format=torch.channels_last)


def scaling_factor(vae: Any, n: int = 512) -> float:
    """What brings the latents of the world's pictures to a standard deviation of 1."""
    import torch

    with torch.no_grad():
        latents = vae.eval().encode(pictures(0, n)).latent_dist.mode()  # [n, 4, 16, 16]
    return round(1 / float(latents.std()), 5)
