"""Pictures by any diffusers pipeline: Stable Diffusion, XL and 3, Flux, PixArt, and whatever else it has for images.

One tool, one copy of the weights: without a picture it paints from nothing, with one it paints over it, and with a
mask it paints into it. It can be trained towards, see `mmagent.diffusion.Trainable`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmagent import Card, Context, Embedding, Image, Text
from mmagent.diffusion import Conditioning, DiffusionTool, ImageDiffuser, card_of


class ImageDiffusion(
    DiffusionTool[ImageDiffuser],
    name="image-diffusion.v1",
    kind="generator",
    cost=60.0,
    needs=("extra:local",),
    concurrency="exclusive",
    either=("prompt", "prompt_embeds"),
):
    """Make a picture of a prompt, or of its embedding, with a diffusers checkpoint of yours.

    `model` is a folder, a hub id, or a single safetensors file (with `config`, the folder or hub id that describes
    it); pickled weights are refused unless `pickle`. `space` names the space of its prompt embeddings where it
    shares it with others (default: the model's name and `.text`).

    With `image` it starts from that picture, of which `strength` (0 … 1) is lost; with `mask` it repaints what is
    white there. `steps`, `guidance` (1: none; Z-Image and Krea 2: 0), `width`, `height` (pixels) and `scheduler` (a class of diffusers)
    are the checkpoint's own unless given. Without `pooled_prompt_embeds` a pipeline that takes them gets those of
    no prompt.
    """

    _kind = ImageDiffuser

    @classmethod
    def card_for(cls, settings: Mapping[str, Any]) -> Card:
        """The card with what the checkpoint's configs say."""
        return card_of(cls.card, settings)

    def run(
        self,
        ctx: Context,
        prompt: Text | None = None,
        prompt_embeds: Embedding | None = None,
        pooled_prompt_embeds: Embedding | None = None,
        negative_prompt: Text | None = None,
        negative_prompt_embeds: Embedding | None = None,
        negative_pooled_prompt_embeds: Embedding | None = None,
        image: Image | None = None,
        mask: Image | None = None,
        strength: float | None = None,
        steps: int | None = None,
        guidance: float | None = None,
        width: int | None = None,
        height: int | None = None,
        scheduler: str = "",
    ) -> Image:
        asked = Conditioning(
            prompt=prompt,
            prompt_embeds=prompt_embeds,
            pooled_prompt_embeds=pooled_prompt_embeds,
            negative_prompt=negative_prompt,
            negative_prompt_embeds=negative_prompt_embeds,
            negative_pooled_prompt_embeds=negative_pooled_prompt_embeds,
        )
        return self._diffuser.image(
            ctx, asked, image=image, mask=mask, strength=strength, steps=steps, guidance=guidance, width=width,
            height=height, scheduler=scheduler,
        )  # fmt: skip
