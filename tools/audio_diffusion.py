"""Sounds by any diffusers pipeline that takes a prompt: AudioLDM 2, Stable Audio, AudioLDM, and painted spectrograms.

The last is a Stable Diffusion folder whose VAE has one channel, with a SpeechT5HifiGan in its subfolder `vocoder`.
It can be trained towards, see `mmagent.diffusion.Trainable`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmagent import Audio, Card, Context, Embedding, Text
from mmagent.checkpoint import Dtype
from mmagent.diffusion import AudioDiffuser, Conditioning, DiffusionTool, audio_card


class AudioDiffusion(
    DiffusionTool[AudioDiffuser],
    name="audio-diffusion.v1",
    kind="generator",
    cost=60.0,
    needs=("extra:local",),
    concurrency="exclusive",
    either=("prompt", "prompt_embeds"),
):
    """Make a sound of a prompt, or of its embedding, with a diffusers checkpoint of yours.

    `model` is a folder or a hub id; pickled weights are refused unless `pickle`. `space` names the space of its
    prompt embeddings where it shares it with others (default: the model's name and `.text`).

    `seconds`, `steps`, `guidance` (1: none) and `scheduler` (a class of diffusers) are the checkpoint's own unless
    given. `generated_prompt_embeds` is AudioLDM 2's second embedding: without it, it is made of the first.
    """

    _kind = AudioDiffuser

    def __init__(
        self,
        model: str,
        revision: str = "",
        pickle: bool = False,
        space: str = "",
        device: str = "auto",
        dtype: Dtype = "auto",
    ) -> None:
        super().__init__(model, "", revision, pickle, space, device, dtype)

    @classmethod
    def card_for(cls, settings: Mapping[str, Any]) -> Card:
        """The card with what the checkpoint's configs say."""
        return audio_card(cls.card, settings)

    def run(
        self,
        ctx: Context,
        prompt: Text | None = None,
        prompt_embeds: Embedding | None = None,
        generated_prompt_embeds: Embedding | None = None,
        negative_prompt: Text | None = None,
        negative_prompt_embeds: Embedding | None = None,
        negative_generated_prompt_embeds: Embedding | None = None,
        seconds: float | None = None,
        steps: int | None = None,
        guidance: float | None = None,
        scheduler: str = "",
    ) -> Audio:
        asked = Conditioning(
            prompt=prompt,
            prompt_embeds=prompt_embeds,
            negative_prompt=negative_prompt,
            negative_prompt_embeds=negative_prompt_embeds,
        )
        return self._diffuser.audio(
            ctx, asked, generated=generated_prompt_embeds, negative_generated=negative_generated_prompt_embeds,
            seconds=seconds, steps=steps, guidance=guidance, scheduler=scheduler,
        )  # fmt: skip
