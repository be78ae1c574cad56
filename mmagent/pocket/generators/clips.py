"""The video generator: the picture generator with motion modules (AnimateDiff, Guo et al. 2024, arXiv:2307.04725).

What the picture generator knows stays as it is. Trained are the motion modules, and the layers that read the
caption, since a picture's captions tell of no motion. Shapes: B clips of F frames, latents `[B, 4, F, 16, 16]`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from mmagent.pocket.generators.diffusion import Batch, Captions, losses, scheduler
from mmagent.pocket.generators.pictures import CHANNELS, latents_of
from mmagent.pocket.generators.text import text_encoder
from mmagent.pocket.world import scenes, splits, videos, words
from mmagent.pocket.world.videos import Clip

if TYPE_CHECKING:
    import numpy as np
    import torch

    Array = np.ndarray[Any, np.dtype[Any]]

STEPS, GUIDANCE = 12, 3.0


class ClipTask:
    """Trains motion in a picture generator's denoiser."""

    def __init__(self, vae: Any, pictures: Any, captions: Captions[Clip], batch: int = 4) -> None:
        self.unet = denoiser(pictures)
        self._vae = vae.eval().requires_grad_(False)
        self._captions, self._batch, self._schedule = captions, batch, scheduler()

    @property
    def modules(self) -> Mapping[str, torch.nn.Module]:
        return {"unet": self.unet}

    def batch(self, seed: int) -> Batch:
        """A batch, a pure function of the seed."""
        random = Random(seed)  # noqa: S311  # chance, not secrets
        facts, states = self._captions.draw(random, self._batch)
        frames = [frame for fact in facts for frame in videos.render_clip(videos.arranged(fact, random))]
        latents = latents_of(self._vae, frames, rough=True)  # [B · F, 4, 16, 16]
        each = states.repeat_interleave(videos.N_FRAMES, dim=0)  # a frame is told the caption of its clip
        return Batch(latents.reshape(self._batch, -1, *latents.shape[1:]).transpose(1, 2).contiguous(), each)

    def losses(self, batch: Batch) -> dict[str, torch.Tensor]:
        return losses(self.unet, self._schedule, batch)

    def sample(self, folder: Path, step: int) -> None:
        """A sheet of clips from held-out captions, one a row."""
        import numpy as np
        from PIL import Image as pil

        random = Random(0)  # noqa: S311  # chance, not secrets
        captions = [words.plain(videos.draw(random, splits.tested)) for _ in range(8)]
        made = generate(pipeline(self.unet, self._vae), captions)
        folder.mkdir(parents=True, exist_ok=True)
        sheet = np.concatenate([np.concatenate(list(clip), axis=1) for clip in made])
        pil.fromarray(sheet).save(folder / f"sample-{step:06d}.png")
        (folder / "sample.txt").write_text("\n".join(captions) + "\n", "utf-8")


def denoiser(pictures: Any) -> Any:
    """A picture generator's denoiser with motion modules that do nothing yet; only what is to learn takes gradients."""
    import torch
    from diffusers import MotionAdapter, UNetMotionModel

    adapter = MotionAdapter(
        block_out_channels=CHANNELS, motion_layers_per_block=1, motion_num_attention_heads=4,
        motion_norm_num_groups=16, motion_max_seq_length=videos.N_FRAMES,
    )  # fmt: skip
    unet = UNetMotionModel.from_unet2d(pictures, adapter)
    for name, module in unet.named_modules():
        if "motion_modules" in name and name.endswith("proj_out"):
            torch.nn.init.zeros_(module.weight)
            torch.nn.init.zeros_(module.bias)
    for name, parameter in unet.named_parameters():
        parameter.requires_grad_(trains(name))
    return unet


def trains(name: str) -> bool:
    """Whether a parameter of that name learns: of a motion module, of what reads the caption, of a norm beside that."""
    return any(part in name for part in ("motion_modules.", ".attn2.", ".norm2."))


def pipeline(unet: Any, vae: Any) -> Any:
    """The parts as one AnimateDiffPipeline."""
    from diffusers import AnimateDiffPipeline

    encoder, tokenizer = text_encoder()
    return AnimateDiffPipeline(
        vae=vae, text_encoder=encoder, tokenizer=tokenizer, unet=unet, motion_adapter=None, scheduler=scheduler()
    )


def generate(
    pipe: Any, captions: Sequence[str], seed: int = 0, steps: int = STEPS, guidance: float = GUIDANCE
) -> list[Array]:
    """A clip, uint8 `[F, 64, 64, 3]`, for each caption."""
    import numpy as np
    import torch

    pipe.set_progress_bar_config(disable=True)
    with torch.compiler.set_stance("force_eager"):  # what is compiled to train it, would be anew for other shapes
        made = pipe(
            list(captions), num_frames=videos.N_FRAMES, num_inference_steps=steps, guidance_scale=guidance,
            output_type="np", generator=torch.Generator().manual_seed(seed), height=scenes.SIDE, width=scenes.SIDE,
        )  # fmt: skip
    return [np.round(clip * 255).astype(np.uint8) for clip in made.frames]
