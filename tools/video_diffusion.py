"""Videos by any diffusers pipeline that takes a prompt: Wan, LTX, CogVideoX, AnimateDiff, Latte, TextToVideoSD.

One tool, one copy of the weights: without a picture it films from nothing, with one it sets that picture in motion,
where the checkpoint can. It can be trained towards, see `mmagent.diffusion.Trainable`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmagent import Card, Context, Embedding, Image, Text, Video
from mmagent.diffusion import Conditioning, DiffusionTool, VideoDiffuser, video_card


class VideoDiffusion(
    DiffusionTool[VideoDiffuser],
    name="video-diffusion.v1",
    kind="generator",
    cost=600.0,
    needs=("extra:local",),
    concurrency="exclusive",
    either=("prompt", "prompt_embeds"),
):
    """Make a video of a prompt, or of its embedding, with a diffusers checkpoint of yours.

    `model` is a folder, a hub id, or a single safetensors file (with `config`, the folder or hub id that describes
    it); pickled weights are refused unless `pickle`. `space` names the space of its prompt embeddings where it
    shares it with others (default: the model's name and `.text`).

    With `image` the video begins with that picture, where the checkpoint can. `frames`, `fps`, `width`, `height`
    (pixels), `steps`, `guidance` (1: none) and `scheduler` (a class of diffusers) are the checkpoint's own unless
    given; some checkpoints make 4n + 1 or 8n + 1 frames, and round to that.
    """

    _kind = VideoDiffuser

    @classmethod
    def card_for(cls, settings: Mapping[str, Any]) -> Card:
        """The card with what the checkpoint's configs say."""
        return video_card(cls.card, settings)

    def run(
        self,
        ctx: Context,
        prompt: Text | None = None,
        prompt_embeds: Embedding | None = None,
        negative_prompt: Text | None = None,
        negative_prompt_embeds: Embedding | None = None,
        image: Image | None = None,
        frames: int | None = None,
        fps: float | None = None,
        steps: int | None = None,
        guidance: float | None = None,
        width: int | None = None,
        height: int | None = None,
        scheduler: str = "",
    ) -> Video:
        asked = Conditioning(
            prompt=prompt,
            prompt_embeds=prompt_embeds,
            negative_prompt=negative_prompt,
            negative_prompt_embeds=negative_prompt_embeds,
        )
        return self._diffuser.video(
            ctx, asked, image=image, frames=frames, fps=fps, steps=steps, guidance=guidance, scheduler=scheduler,
            width=width, height=height,
        )  # fmt: skip
