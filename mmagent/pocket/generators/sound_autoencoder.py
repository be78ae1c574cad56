"""The sound autoencoder: spectrograms of two seconds, 128 × 64, to 32 × 16 × 4 latents and back.

As `autoencoder` for pictures (Rombach et al. 2022, arXiv:2112.10752, section 3.1); it takes and makes spectrograms as
they are, in nepers, since that is what a vocoder beside it reads. A latent lasts 62 ms, a tenth of the shortest time
between two beats. Shapes: B sounds, T = 128 frames, M = 64 bins.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from mmagent.pocket.generators.autoencoder import NOISE
from mmagent.pocket.generators.spectrogram import MEAN, N_FRAMES, SCALE, drawn, log_mel, rendered, sheet

if TYPE_CHECKING:
    import torch

BATCH = 8


class SoundAutoencoderTask:
    """Trains an AutoencoderKL on spectrograms of the world's sounds."""

    def __init__(self, batch: int = BATCH) -> None:
        self.vae = autoencoder()
        self._batch = batch

    @property
    def modules(self) -> Mapping[str, torch.nn.Module]:
        return {"vae": self.vae}

    def batch(self, seed: int) -> torch.Tensor:
        """Spectrograms `[B, 1, T, M]`."""
        random = Random(seed)  # noqa: S311  # chance, not secrets
        return log_mel(rendered(drawn(random, self._batch)))[:, None]

    def losses(self, batch: torch.Tensor) -> dict[str, torch.Tensor]:
        """In deviations of the world's spectrograms, but `nepers`: how far a value is off, in the mean."""
        import torch

        latents = self.vae.encode(batch).latent_dist
        sampled = latents.sample()  # [B, 4, 32, 16]
        noisy = sampled + NOISE * torch.rand(len(sampled), 1, 1, 1) * sampled.detach().std() * torch.randn_like(sampled)
        off = (self.vae.decode(noisy).sample - batch) / SCALE  # [B, 1, T, M]
        absolute = off.abs().mean()
        edges = sum((off.diff(dim=axis).abs().mean() for axis in (2, 3)), torch.zeros(()))
        spread = latents.kl().mean() / sampled[0].numel()
        loss = absolute + off.square().mean() + 0.5 * edges + 1e-4 * spread
        return {"loss": loss, "nepers": absolute.detach() * SCALE, "kl": spread}

    def sample(self, folder: Path, step: int) -> None:
        """A sheet of held-out sounds over what becomes of them."""
        import torch
        from PIL import Image as pil

        true = log_mel(rendered(drawn(Random(0), 8, tested=True)))  # noqa: S311  # chance, not secrets
        with torch.inference_mode():
            made = reconstructed(self.vae, true)
        folder.mkdir(parents=True, exist_ok=True)
        pil.fromarray(sheet(true, made)).save(folder / f"sample-{step:06d}.png")


def autoencoder() -> Any:
    """The network, an AutoencoderKL with random weights, of 0.4 million parameters.

    Its outermost layers begin with the world's mean and deviation in them, so that the rest meets numbers about 0.
    """
    import torch
    from diffusers import AutoencoderKL

    vae = AutoencoderKL(
        in_channels=1, out_channels=1, down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3, block_out_channels=(16, 32, 48), layers_per_block=1,
        latent_channels=4, norm_num_groups=8, sample_size=N_FRAMES, mid_block_add_attention=False,
    )  # fmt: skip
    first, last = vae.encoder.conv_in, vae.decoder.conv_out
    with torch.no_grad():
        first.weight /= SCALE
        first.bias -= MEAN * first.weight.sum(dim=(1, 2, 3))
        last.weight *= SCALE
        last.bias.fill_(MEAN)
    return vae.to(memory_format=torch.channels_last)


def reconstructed(vae: Any, mels: torch.Tensor) -> torch.Tensor:
    """What becomes of spectrograms `[B, T, M]`."""
    made: torch.Tensor = vae.decode(vae.encode(mels[:, None]).latent_dist.mode()).sample[:, 0]
    return made


def latents_of(vae: Any, mels: torch.Tensor) -> torch.Tensor:
    """The scaled latents `[B, 4, 32, 16]` of spectrograms `[B, T, M]`."""
    import torch

    with torch.no_grad():
        latents: torch.Tensor = vae.encode(mels[:, None]).latent_dist.mode() * vae.config.scaling_factor
    return latents


def scaling_factor(vae: Any, n: int = 64) -> float:
    """The factor by which latents of the world's sounds have a deviation of 1, as denoisers expect."""
    import torch

    mels = log_mel(rendered(drawn(Random(0), n)))  # noqa: S311  # chance, not secrets
    with torch.no_grad():
        return 1 / float(vae.encode(mels[:, None]).latent_dist.mode().std())
