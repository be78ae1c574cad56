"""The stages of the sound generator's training, in their order, for `stages`.

    sound-autoencoder → vocoder-1 → vocoder-2 (on what the autoencoder leaves) → sounds-1 → …

Shapes and losses are in `sound_autoencoder`, `vocoder` and `sounds`. Here is what each stage starts from.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmagent.training.loop import Recipe, Task

Told = Callable[[int, int], None]

AUTOENCODER = Recipe(steps=8_000, rate=2e-3, average=0.998, keep_every=500, sample_every=2000, precision="bf16")
VOCODER = Recipe(
    steps=12_000, rate=1e-3, betas=(0.8, 0.99), decay=0.0, average=0.998, keep_every=500, sample_every=2000,
    precision="bf16",
)  # fmt: skip
TUNING = Recipe(steps=3_000, rate=4e-4, betas=(0.8, 0.99), decay=0.0, average=0.998, keep_every=500, sample_every=1000)
"""In float32, which softer sounds need."""
DENOISER = Recipe(
    steps=8_000, rate=1e-3, average=0.999, keep_every=500, sample_every=2000, schedule="constant", precision="bf16"
)
LAST = Recipe(steps=8_000, rate=1e-3, average=0.999, keep_every=500, sample_every=2000, precision="bf16")
"""Of the denoiser's last stage, whose rate falls."""
CAPTIONS = 8192


def autoencoder(out: Path, told: Told) -> Task:
    from mmagent.pocket.generators.sound_autoencoder import SoundAutoencoderTask

    return SoundAutoencoderTask()


def scale(task: Task) -> dict[str, float]:
    """The factor of the trained autoencoder's latents, for its config."""
    from mmagent.pocket.generators.sound_autoencoder import scaling_factor

    return {"scaling_factor": scaling_factor(task.modules["vae"])}


def vocoder(out: Path, told: Told) -> Task:
    from mmagent.pocket.generators.vocoder import VocoderTask

    return VocoderTask()


def tuning(out: Path, told: Told) -> Task:
    from mmagent.pocket.generators.vocoder import VocoderTask

    return VocoderTask(load_autoencoder(out), load_vocoder(out, "vocoder-1"))


def denoiser(before: str | None) -> Callable[[Path, Told], Task]:
    """The denoiser's training, from random weights or from those that an earlier stage left."""

    def make(out: Path, told: Told) -> Task:
        from mmagent.pocket.generators.diffusion import Captions
        from mmagent.pocket.generators.pool import Pool
        from mmagent.pocket.generators.sounds import SoundTask
        from mmagent.pocket.world import sounds, splits

        pool = Pool(f"sounds-{CAPTIONS}", CAPTIONS, lambda random: sounds.draw(random, splits.trained), out / "pool")
        task = SoundTask(load_autoencoder(out), load_vocoder(out), Captions(pool, pool.build(told)))
        if before is not None:
            task.unet.load_state_dict(load_denoiser(out, before).state_dict())
        return task

    return make


def load_autoencoder(out: Path) -> Any:
    """The trained autoencoder, float32."""
    import torch
    from diffusers import AutoencoderKL

    from mmagent.pocket.generators.stages import kept

    folder = kept("sound-autoencoder", out)
    vae = AutoencoderKL.from_pretrained(folder, torch_dtype=torch.float32, low_cpu_mem_usage=False)
    return vae.to(memory_format=torch.channels_last)


def load_vocoder(out: Path, name: str = "vocoder-2") -> Any:
    """The vocoder that a stage left, float32."""
    import torch
    from transformers import SpeechT5HifiGan

    from mmagent.pocket.generators.stages import kept

    return SpeechT5HifiGan.from_pretrained(kept(name, out), dtype=torch.float32, use_safetensors=True)


def load_denoiser(out: Path, name: str) -> Any:
    """The denoiser that a stage left, float32."""
    import torch
    from diffusers import UNet2DConditionModel

    from mmagent.pocket.generators.stages import kept

    unet = UNet2DConditionModel.from_pretrained(kept(name, out), torch_dtype=torch.float32, low_cpu_mem_usage=False)
    return unet.to(memory_format=torch.channels_last)
