"""Generators out of any diffusers checkpoint: what every such tool shares, whatever it makes.

A tool holds a `Diffuser`, loads and unloads it, lets its card follow the checkpoint, and turns the pipeline's output
into media:

    class ImageDiffusion(DiffusionTool[ImageDiffuser], name="image-diffusion.v1", kind="generator",
                         concurrency="exclusive", either=("prompt", "prompt_embeds")):
        _kind = ImageDiffuser

        @classmethod
        def card_for(cls, settings):
            return card_of(cls.card, settings)

        def run(self, ctx: Context, prompt: Text | None = None, prompt_embeds: Embedding | None = None,
                steps: int | None = None, guidance: float | None = None) -> Image:
            asked = Conditioning(prompt=prompt, prompt_embeds=prompt_embeds)
            return self._diffuser.image(ctx, asked, steps=steps, guidance=guidance)

- `DiffusionTool`: the settings of such a tool, loading it, and training towards it.
- `Diffuser(model, owner=…)`: `load`, `unload`, `run(ctx, asked, …, **options)`, `pipe`, `preview`, `encode`, `null`,
  `space`, `layout`, `takes(argument)`. One request at a time, a scheduler and a generator of its own for each,
  progress, previews and cancel at each step. `ImageDiffuser.image`, `VideoDiffuser.video` and `AudioDiffuser.audio`
  give media.
- `Conditioning`: words or embeddings, wanted and to be avoided, in the arguments that the pipeline's `__call__` has.
- `Layout`, `layout(model)`: what the configs say, without loading anything; `card_of(card, settings)` a card by it,
  with `video_card` and `audio_card` for those media.
- `LatentColours(vae)`: cheap previews of the latents of pictures and videos.
- `save_small(family, folder)`: small checkpoints of pictures, videos and sounds with random weights, to try things with.
- `Trainable`: what a generator does that others are trained towards; `DenoisingTarget` does it for a `Diffuser`.

It knows no tool. Importing it imports nothing heavy.
"""

from __future__ import annotations

from mmagent.diffusion.audio import AudioDiffuser
from mmagent.diffusion.audio_card import audio_card
from mmagent.diffusion.card import card_of
from mmagent.diffusion.conditioning import Conditioning, Encoded
from mmagent.diffusion.diffuser import Diffuser
from mmagent.diffusion.image import ImageDiffuser
from mmagent.diffusion.layout import Layout, layout
from mmagent.diffusion.preview import LatentColours
from mmagent.diffusion.small import save_small
from mmagent.diffusion.tasks import Task
from mmagent.diffusion.tool import DiffusionTool
from mmagent.diffusion.trainable import DenoisingTarget, Trainable
from mmagent.diffusion.video import VideoDiffuser, video_card

__all__ = [
    "AudioDiffuser",
    "Conditioning",
    "DenoisingTarget",
    "Diffuser",
    "DiffusionTool",
    "Encoded",
    "ImageDiffuser",
    "LatentColours",
    "Layout",
    "Task",
    "Trainable",
    "VideoDiffuser",
    "audio_card",
    "card_of",
    "layout",
    "save_small",
    "video_card",
]
