"""Generators out of any diffusers checkpoint: what every such tool shares, whatever it makes.

A tool holds a `Diffuser`, loads and unloads it, lets its card follow the checkpoint, and turns the pipeline's output
into media:

    class ImageDiffusion(Tool, name="image-diffusion.v1", kind="generator", concurrency="exclusive",
                         either=("prompt", "prompt_embeds")):
        def __init__(self, model: str, pickle: bool = False, space: str = "") -> None:
            self._diffuser = Diffuser(model, owner=self.card.name, pickle=pickle, space=space)

        @classmethod
        def card_for(cls, settings):
            return card_of(cls.card, settings)

        def load(self) -> None:
            self._diffuser.load()

        def run(self, ctx: Context, prompt: Text | None = None, prompt_embeds: Embedding | None = None,
                steps: int | None = None, guidance: float | None = None) -> Image:
            asked = Conditioning(prompt=prompt, prompt_embeds=prompt_embeds)
            made = self._diffuser.run(ctx, asked, steps=steps, guidance=guidance, output_type="np")
            return Image((made.images[0] * 255).round().astype("uint8"))

- `Diffuser(model, owner=…)`: `load`, `unload`, `run(ctx, asked, …, **options)`, `pipe`, `look`, `encode`, `null`,
  `space`, `layout`, `takes(argument)`.
  One request at a time, a scheduler and a generator of its own for each, progress, previews and cancel at each step.
- `Conditioning`: words or embeddings, wanted and to be avoided, in the arguments that the pipeline's `__call__` has.
- `Layout`, `layout(model)`: what the configs say, without loading anything; `card_of(card, settings)` a card by it.
- `LatentColours(vae)`: cheap previews of the latents of pictures.
- `save_small(family, folder)`: small checkpoints of pictures, videos and sounds with random weights, to try things with.
- `ClipDiffuser`, `clip_card`, `ClipTarget`: the same for videos; `SoundDiffuser`, `sound_card`, `SoundTarget` for sounds.
- `Trainable`: what a generator does that others are trained towards; `DenoisingTarget` does it for a `Diffuser`.

It knows no tool. Importing it imports nothing heavy.
"""

from __future__ import annotations

from mmagent.diffusion.card import card_of
from mmagent.diffusion.clip_target import ClipTarget
from mmagent.diffusion.clips import ClipDiffuser, clip_card
from mmagent.diffusion.conditioning import Conditioning, Encoded
from mmagent.diffusion.diffuser import Diffuser
from mmagent.diffusion.layout import Layout, layout
from mmagent.diffusion.preview import LatentColours
from mmagent.diffusion.small import save_small
from mmagent.diffusion.sound_card import sound_card
from mmagent.diffusion.sound_target import SoundTarget
from mmagent.diffusion.sounds import SoundDiffuser
from mmagent.diffusion.tasks import Task
from mmagent.diffusion.trainable import DenoisingTarget, Trainable

__all__ = [
    "ClipDiffuser",
    "ClipTarget",
    "Conditioning",
    "DenoisingTarget",
    "Diffuser",
    "Encoded",
    "LatentColours",
    "Layout",
    "SoundDiffuser",
    "SoundTarget",
    "Task",
    "Trainable",
    "card_of",
    "clip_card",
    "layout",
    "save_small",
    "sound_card",
]
