"""The picture generator: a UNet2DConditionModel over 16 × 16 × 4 latents that reads a sentence encoder's token states.

Shapes: B pictures of 64 × 64 pixels, latents `[B, 4, 16, 16]`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from mmagent.pocket.generators.diffusion import Batch, Captions, losses, scheduler
from mmagent.pocket.generators.text import WIDTH, text_encoder
from mmagent.pocket.world import scenes, splits, words
from mmagent.pocket.world.scenes import Scene

if TYPE_CHECKING:
    import numpy as np
    import torch

    Array = np.ndarray[Any, np.dtype[Any]]

CHANNELS = 64, 128, 160
STEPS, GUIDANCE = 12, 3.0


class PictureTask:
    """Trains the denoiser on captions whose scenes are arranged anew each time."""

    def __init__(self, vae: Any, captions: Captions[Scene], batch: int = 32) -> None:
        self.unet = denoiser()
        self._vae = vae.eval().requires_grad_(False)
        self._captions, self._batch, self._schedule = captions, batch, scheduler()

    @property
    def modules(self) -> Mapping[str, torch.nn.Module]:
        return {"unet": self.unet}

    def batch(self, seed: int) -> Batch:
        """A batch, a pure function of the seed."""
        random = Random(seed)  # noqa: S311  # chance, not secrets
        facts, states = self._captions.draw(random, self._batch)
        drawn = [scenes.render(scenes.arranged(fact, random)) for fact in facts]
        return Batch(latents_of(self._vae, drawn, rough=True), states)

    def losses(self, batch: Batch) -> dict[str, torch.Tensor]:
        return losses(self.unet, self._schedule, batch)

    def sample(self, folder: Path, step: int) -> None:
        """A sheet of pictures from held-out captions: one thing, two, several."""
        import numpy as np
        from PIL import Image as pil

        random = Random(0)  # noqa: S311  # chance, not secrets
        captions = [words.plain(scenes.draw(random, kind, splits.tested)) for kind in scenes.KINDS for _ in range(12)]
        made = generate(pipeline(self.unet, self._vae), captions)
        rows = [np.concatenate(made[at : at + 12], axis=1) for at in range(0, len(made), 12)]
        folder.mkdir(parents=True, exist_ok=True)
        pil.fromarray(np.concatenate(rows)).save(folder / f"sample-{step:06d}.png")
        (folder / "sample.txt").write_text("\n".join(captions) + "\n", "utf-8")


def denoiser() -> Any:
    """The network with random weights."""
    import torch
    from diffusers import UNet2DConditionModel

    unet = UNet2DConditionModel(
        sample_size=16, in_channels=4, out_channels=4, block_out_channels=CHANNELS, layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=WIDTH, attention_head_dim=4, norm_num_groups=16, use_linear_projection=True,
    )  # fmt: skip
    return unet.to(memory_format=torch.channels_last)


def latents_of(vae: Any, pictures: Sequence[Array], rough: bool = False) -> torch.Tensor:
    """The scaled latents `[B, 4, 16, 16]` of uint8 pictures `[64, 64, 3]`; `rough` computes them in bfloat16."""
    import numpy as np
    import torch

    pixels = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float().div(127.5).sub(1)
    with torch.no_grad(), torch.autocast(pixels.device.type, torch.bfloat16, enabled=rough):
        found = vae.encode(pixels.contiguous(memory_format=torch.channels_last)).latent_dist.mode()
    latents: torch.Tensor = found.float() * vae.config.scaling_factor
    return latents


def pipeline(unet: Any, vae: Any) -> Any:
    """The parts as one StableDiffusionPipeline."""
    from diffusers import StableDiffusionPipeline

    encoder, tokenizer = text_encoder()
    return StableDiffusionPipeline(
        vae=vae, text_encoder=encoder, tokenizer=tokenizer, unet=unet, scheduler=scheduler(), safety_checker=None,
        feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip


def generate(
    pipe: Any, captions: Sequence[str], seed: int = 0, steps: int = STEPS, guidance: float = GUIDANCE
) -> list[Array]:
    """A uint8 picture `[64, 64, 3]` for each caption."""
    import numpy as np
    import torch

    pipe.set_progress_bar_config(disable=True)
    with torch.compiler.set_stance("force_eager"):  # what is compiled to train it, would be anew for other shapes
        made = pipe(
            list(captions), num_inference_steps=steps, guidance_scale=guidance, output_type="np",
            generator=torch.Generator().manual_seed(seed),
        )  # fmt: skip
    return [np.round(picture * 255).astype(np.uint8) for picture in made.images]
