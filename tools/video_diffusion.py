"""Videos by any diffusers pipeline that takes a prompt: Wan, LTX, CogVideoX, AnimateDiff, Latte, TextToVideoSD.

One tool, one copy of the weights: without a picture it films from nothing, with one it sets that picture in motion,
where the checkpoint can. It can be trained towards, see `mmagent.diffusion.Trainable`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mmagent import Card, Context, Embedding, Image, Text, Tool, Video
from mmagent.diffusion import ClipDiffuser, ClipTarget, Conditioning, clip_card

if TYPE_CHECKING:
    import torch


class VideoDiffusion(
    Tool,
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
        self._diffuser = ClipDiffuser(
            model, owner=self.card.name, config=config, revision=revision, pickle=pickle, space=space, device=device,
            dtype=dtype,
        )  # fmt: skip

    @classmethod
    def card_for(cls, settings: Mapping[str, Any]) -> Card:
        """The card with what the checkpoint's configs say."""
        return clip_card(cls.card, settings)

    def load(self) -> None:
        """Read the weights."""
        self._diffuser.load()

    def unload(self) -> None:
        """Give the memory back."""
        self._diffuser.unload()

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
        return self._diffuser.clip(
            ctx, asked, image=image, frames=frames, fps=fps, steps=steps, guidance=guidance, scheduler=scheduler,
            width=width, height=height,
        )  # fmt: skip

    # -- training towards it, see mmagent.diffusion.Trainable

    def condition(self, texts: Sequence[str]) -> list[Embedding]:
        """What its text encoder makes of each text."""
        return ClipTarget(self._diffuser).condition(texts)

    def null(self) -> Embedding:
        """What it is given where there is no prompt."""
        return ClipTarget(self._diffuser).null()

    def loss(self, states: torch.Tensor, media: Sequence[Any], **options: Any) -> torch.Tensor:
        """How badly it denoises videos under embeddings `[B, L, D]`; options as `DenoisingTarget.loss` has them."""
        return ClipTarget(self._diffuser).loss(states, media, **options)
