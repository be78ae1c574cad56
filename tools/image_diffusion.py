"""Pictures by any diffusers pipeline: Stable Diffusion, XL and 3, Flux, PixArt, and whatever else it has for images.

One tool, one copy of the weights: without a picture it paints from nothing, with one it paints over it, and with a
mask it paints into it. It can be trained towards, see `mmagent.diffusion.Trainable`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mmagent import Card, Context, Embedding, Image, Text, Tool
from mmagent.diffusion import Conditioning, DenoisingTarget, Diffuser, LatentColours, Task, card_of
from mmagent.errors import RunError

if TYPE_CHECKING:
    import PIL.Image
    import torch

BINNED = (32, 64, 128)  # latents a side, for which PixArt and Sana know the sizes they were trained on


class ImageDiffusion(
    Tool,
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

    def __init__(
        self,
        model: str,
        config: str = "",
        revision: str = "",
        pickle: bool = False,
        space: str = "",
        device: str = "auto",
        dtype: str = "auto",
    ) -> None:
        self._diffuser = Diffuser(
            model, owner=self.card.name, config=config, revision=revision, pickle=pickle, space=space, device=device,
            dtype=dtype,
        )  # fmt: skip

    @classmethod
    def card_for(cls, settings: Mapping[str, Any]) -> Card:
        """The card with what the checkpoint's configs say."""
        return card_of(cls.card, settings)

    def load(self) -> None:
        """Read the weights."""
        self._diffuser.load()
        vae = getattr(self._diffuser.pipe, "vae", None)
        self._diffuser.look = LatentColours(vae) if vae is not None else None

    def unload(self) -> None:
        """Give the memory back."""
        self._diffuser.unload()

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
        task: Task = "text" if image is None else "image" if mask is None else "inpaint"
        if image is None and (mask is not None or strength is not None):
            raise ValueError("image-diffusion: mask and strength say what to do with image; give it too")
        if strength is not None and not 0 < strength <= 1:
            raise ValueError(f"image-diffusion: strength is above 0 and at most 1, not {strength}")
        n_steps = self._diffuser.n_steps(task) if steps is None else steps
        if strength is not None and n_steps is not None and int(strength * n_steps) < 1:
            raise ValueError(f"image-diffusion: of {n_steps} steps, strength {strength} leaves none; raise one of them")
        self._diffuser.layout.check_size(height, width)
        options = self._blank(height, width) if image is None else self._start(task, image, mask, height, width)
        made = self._diffuser.run(
            ctx, asked, task=task, steps=steps, guidance=guidance, scheduler=scheduler,
            output_type="pil", strength=strength, **options,
        )  # fmt: skip
        if any(getattr(made, "nsfw_content_detected", None) or ()):
            raise RunError(f"{self.card.name}: the checkpoint's own safety checker withholds this picture")
        return Image(made.images[0])

    def _blank(self, height: int | None, width: int | None) -> dict[str, Any]:
        """What the pipeline is told to paint from nothing."""
        side = self._diffuser.layout.denoiser.get("sample_size")
        unbinned = self._diffuser.takes("use_resolution_binning") and side not in BINNED
        return {"height": height, "width": width, **({"use_resolution_binning": False} if unbinned else {})}

    def _start(
        self, task: Task, image: Image, mask: Image | None, height: int | None, width: int | None
    ) -> dict[str, Any]:
        """What it is told to start from; the picture's own size is kept, down to what the pipeline can make."""
        least = self._diffuser.layout.multiple
        height = height or max(least, image.height // least * least)
        width = width or max(least, image.width // least * least)
        return {
            "image": _sized(image, "RGB", width, height),
            "mask_image": None if mask is None else _sized(mask, "L", width, height),
            **({"height": height, "width": width} if self._diffuser.takes("height", task) else {}),
        }

    # -- training towards it, see mmagent.diffusion.Trainable

    def condition(self, texts: Sequence[str]) -> list[Embedding]:
        """What its text encoder makes of each text."""
        return DenoisingTarget(self._diffuser).condition(texts)

    def pooled(self, texts: Sequence[str]) -> list[Embedding]:
        """The pooled embedding of each text, for checkpoints that take one too (SDXL, SD3, Flux)."""
        return DenoisingTarget(self._diffuser).pooled(texts)

    def null(self) -> Embedding:
        """What it is given where there is no prompt."""
        return DenoisingTarget(self._diffuser).null()

    def loss(self, states: torch.Tensor, media: Sequence[Image], **options: Any) -> torch.Tensor:
        """How badly it denoises `media` under embeddings `[B, L, D]`; options as `DenoisingTarget.loss` has them."""
        return DenoisingTarget(self._diffuser).loss(states, media, **options)


def _sized(picture: Image, mode: str, width: int, height: int) -> PIL.Image.Image:
    """The picture in that mode and size."""
    found = picture.pil(mode)
    return found if found.size == (width, height) else found.resize((width, height))
