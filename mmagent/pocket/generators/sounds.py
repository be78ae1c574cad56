"""The sound generator: a UNet2DConditionModel over 32 × 16 × 4 latents of spectrograms, and a vocoder beside it.

It is to diffusers what the picture generator is; its folder is one that the tool audio-diffusion runs.
Shapes: B sounds of two seconds, latents `[B, 4, 32, 16]`, times downwards, T = 128 frames, M = 64 bins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from mmagent.diffusion.latents import unscaled
from mmagent.media import Audio
from mmagent.pocket.generators.diffusion import Batch, Captions, losses, scheduler
from mmagent.pocket.generators.pictures import pipeline
from mmagent.pocket.generators.sound_autoencoder import latents_of
from mmagent.pocket.generators.spectrogram import N_BINS, N_FRAMES, drawn, log_mel, rendered, sheet
from mmagent.pocket.generators.text import WIDTH
from mmagent.pocket.world import words
from mmagent.pocket.world.sounds import RATE, Noise

if TYPE_CHECKING:
    import torch

BATCH = 16
STEPS, GUIDANCE = 12, 3.0


class SoundTask:
    """Trains the denoiser on captions whose sounds are varied anew each time; `vocoder` is for the samples."""

    def __init__(self, vae: Any, vocoder: Any, captions: Captions[Noise], batch: int = BATCH) -> None:
        self.unet = denoiser()
        self._vae, self._vocoder = vae.eval().requires_grad_(False), vocoder.eval()
        self._captions, self._batch, self._schedule = captions, batch, scheduler()

    @property
    def modules(self) -> Mapping[str, torch.nn.Module]:
        return {"unet": self.unet}

    def batch(self, seed: int) -> Batch:
        """A batch, a pure function of the seed."""
        random = Random(seed)  # noqa: S311  # chance, not secrets
        facts, states = self._captions.draw(random, self._batch)
        varied = [replace(fact, seed=random.getrandbits(32)) for fact in facts]
        return Batch(latents_of(self._vae, log_mel(rendered(varied))), states)

    def losses(self, batch: Batch) -> dict[str, torch.Tensor]:
        return losses(self.unet, self._schedule, batch)

    def sample(self, folder: Path, step: int) -> None:
        """Sounds of held-out captions as one WAV, and a sheet: sounds that are so called over those that were made."""
        from PIL import Image as pil

        asked = drawn(Random(0), 12, tested=True)  # noqa: S311  # chance, not secrets
        captions = [words.plain(noise) for noise in asked]
        mels = generate(pipeline(self.unet, self._vae), captions)
        folder.mkdir(parents=True, exist_ok=True)
        pil.fromarray(sheet(log_mel(rendered(asked)), mels)).save(folder / f"sample-{step:06d}.png")
        Audio(sounding(self._vocoder, mels).flatten().numpy(), RATE).save(folder / f"sample-{step:06d}.wav")
        (folder / "sample.txt").write_text("\n".join(captions) + "\n", "utf-8")


def denoiser() -> Any:
    """The network with random weights, of 4.2 million parameters."""
    import torch
    from diffusers import UNet2DConditionModel

    unet = UNet2DConditionModel(
        sample_size=(N_FRAMES // 4, N_BINS // 4), in_channels=4, out_channels=4, block_out_channels=(32, 80, 112),
        layers_per_block=1, down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=WIDTH, attention_head_dim=4, norm_num_groups=16, use_linear_projection=True,
    )  # fmt: skip
    return unet.to(memory_format=torch.channels_last)


def generate(
    pipe: Any, captions: Sequence[str], seed: int = 0, steps: int = STEPS, guidance: float = GUIDANCE
) -> torch.Tensor:
    """A spectrogram for each caption, `[B, T, M]`."""
    import torch

    pipe.set_progress_bar_config(disable=True)
    with torch.compiler.set_stance("force_eager"):  # what is compiled to train it, would be anew for other shapes
        made = pipe(
            list(captions), num_inference_steps=steps, guidance_scale=guidance, output_type="latent",
            height=N_FRAMES, width=N_BINS, generator=torch.Generator().manual_seed(seed),
        )  # fmt: skip
    with torch.inference_mode():
        mels: torch.Tensor = pipe.vae.decode(unscaled(pipe.vae, made.images)).sample[:, 0]
    return mels


def sounding(vocoder: Any, mels: torch.Tensor) -> torch.Tensor:
    """The samples `[B, 32000]` of spectrograms `[B, T, M]`."""
    import torch

    with torch.inference_mode():
        samples: torch.Tensor = vocoder(mels)
    return samples


def assemble(unet: Any, vae: Any, vocoder: Any, folder: Path) -> Path:
    """Save the parts as a checkpoint that the tool audio-diffusion runs, text encoder included, and return its folder."""
    pipeline(unet, vae).save_pretrained(folder)
    vocoder.save_pretrained(folder / "vocoder")
    return folder
