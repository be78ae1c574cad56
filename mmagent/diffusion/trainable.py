"""Training towards a generator: targets for a projector, and the generator's own loss as a judge of its embeddings.

`DenoisingTarget` does it for pipelines that have a text encoder and a VAE: the encoder's states are the targets
(GILL, arXiv:2305.17216), and the frozen denoiser's loss on noised pictures flows back to the embeddings
(MiniGPT-5, arXiv:2310.02239). Shapes: B pictures, L tokens, D width, P pooled width, C × h × w latents.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from mmagent.diffusion.conditioning import defaults
from mmagent.diffusion.noise import noised, weights
from mmagent.diffusion.preview import precise, scaled
from mmagent.errors import ModelError
from mmagent.media import Embedding, Image

if TYPE_CHECKING:
    import torch

    from mmagent.diffusion.diffuser import Diffuser


@runtime_checkable
class Trainable(Protocol):
    """A loaded generator that others can be trained towards; its own weights stay as they are."""

    def condition(self, texts: Sequence[str]) -> list[Embedding]:
        """What its own text encoder makes of each text: what it would be given for that prompt."""
        ...

    def null(self) -> Embedding:
        """What it is given where there is no prompt, for classifier-free guidance."""
        ...

    def loss(
        self,
        states: torch.Tensor,
        media: Sequence[Image],
        *,
        generator: torch.Generator,
        mask: torch.Tensor | None = None,
        pooled: torch.Tensor | None = None,
        snr_gamma: float | None = None,
    ) -> torch.Tensor:
        """How badly it denoises `media` under embeddings `[B, L, D]`, a scalar; gradients reach the embeddings."""
        ...


class DenoisingTarget:
    """Training towards a loaded `Diffuser` that makes pictures. ModelError for pipelines that lack a part for it.

    It takes Stable Diffusion and XL (any UNet2DConditionModel over prompt embeddings), Stable Diffusion 3 and PixArt.
    """

    def __init__(self, diffuser: Diffuser) -> None:
        self._diffuser = diffuser

    def condition(self, texts: Sequence[str]) -> list[Embedding]:
        """The prompt embeddings `[L, D]` of texts, exactly what the pipeline would use; some have an L of their own."""
        return [self._condition(text) for text in texts]

    def _condition(self, text: str) -> Embedding:
        found = self._diffuser.encode([text])
        mask = None if found.mask is None else found.mask[0].cpu().numpy()
        return Embedding(found.states[0].float().cpu().numpy(), self._diffuser.space, mask)

    def pooled(self, texts: Sequence[str]) -> list[Embedding]:
        """The pooled embeddings `[1, P]` of texts; ModelError if the pipeline has none."""
        found = self._diffuser.encode(texts).pooled
        if found is None:
            raise ModelError(f"{type(self._diffuser.pipe).__name__} takes no pooled embeddings")
        return [Embedding(row[None], f"{self._diffuser.space}.pooled") for row in found.float().cpu().numpy()]

    def null(self) -> Embedding:
        """What the pipeline itself puts in the place of a negative prompt that is not given."""
        found = self._diffuser.null()
        mask = None if found.mask is None else found.mask[0].cpu().numpy()
        return Embedding(found.states[0].float().cpu().numpy(), self._diffuser.space, mask)

    def loss(
        self,
        states: torch.Tensor,
        media: Sequence[Image],
        *,
        generator: torch.Generator,
        mask: torch.Tensor | None = None,
        pooled: torch.Tensor | None = None,
        snr_gamma: float | None = None,
    ) -> torch.Tensor:
        """The mean squared error of the denoiser on `media`, noised to random times, under embeddings `states` [B, L, D].

        What is compared is what the pipeline's scheduler predicts: noise, velocity, the picture, or a flow. Times and
        noise come from `generator`, drawn on its device. `mask` `[B, L]` tells which states count where the pipeline
        looks; `pooled` `[B, P]` is that of no prompt unless given. `snr_gamma` weighs times by min-SNR
        (arXiv:2303.09556, 5 is usual). Pictures are brought to the pipeline's size.
        """
        import torch

        with self._diffuser.lock:
            pipe = self._diffuser.pipe
            if len(media) != len(states):
                raise ValueError(f"{len(states)} embeddings and {len(media)} pictures; give one picture for each")
            clean = self._latents(pipe, media, generator)  # [B, C, h, w]
            noisy, times, target, snr = noised(pipe.scheduler, clean, generator)
            states = states.to(clean.device, clean.dtype)
            guess = self._predict(pipe, noisy, times, states, mask, pooled)[:, : clean.shape[1]]  # drops a variance
            each = (guess.float() - target.float()).square().flatten(1).mean(dim=1)  # [B]
            if snr_gamma is not None:
                each = each * weights(pipe.scheduler, snr, snr_gamma)
            return torch.mean(each)

    def _latents(self, pipe: Any, media: Sequence[Image], generator: torch.Generator) -> torch.Tensor:
        import numpy as np
        import torch
        from PIL import Image as pil

        vae, layout = getattr(pipe, "vae", None), self._diffuser.layout
        if vae is None or layout.size is None:
            raise ModelError(
                f"{type(pipe).__name__} has no VAE of pictures of a known size; it cannot be trained towards"
            )
        size = layout.size[::-1]
        pictures = [picture.pil("RGB").resize(size, pil.Resampling.BICUBIC) for picture in media]
        pixels = torch.from_numpy(np.stack([np.asarray(picture) for picture in pictures]))  # [B, H, W, 3]
        with torch.no_grad(), precise(vae):
            pixels = pixels.permute(0, 3, 1, 2).to(vae.device, vae.dtype) / 127.5 - 1
            latents: torch.Tensor = scaled(vae, vae.encode(pixels).latent_dist.sample(generator))
        return latents.to(pipe.dtype)

    def _predict(
        self, pipe: Any, noisy: Any, times: Any, states: Any, mask: torch.Tensor | None, pooled: torch.Tensor | None
    ) -> Any:
        """What the denoiser says of noisy latents `[B, C, h, w]`, called as its pipeline calls it."""
        kind = type(getattr(pipe, "unet", None) or getattr(pipe, "transformer", None)).__name__
        if pooled is None and "pooled_prompt_embeds" in defaults(pipe):
            empty = self._diffuser.null().pooled
            pooled = None if empty is None else empty.expand(len(noisy), -1)
        pooled = None if pooled is None else pooled.to(noisy.device, noisy.dtype)
        if kind == "UNet2DConditionModel" and pipe.unet.config.in_channels == noisy.shape[1]:
            added = {} if pooled is None else {"added_cond_kwargs": _sizes(pipe, noisy, pooled)}
            return pipe.unet(noisy, times, encoder_hidden_states=states, **added).sample
        if kind == "SD3Transformer2DModel":
            return pipe.transformer(
                noisy, timestep=times, encoder_hidden_states=states, pooled_projections=pooled
            ).sample
        if kind == "PixArtTransformer2DModel":
            import torch

            attended = torch.ones(states.shape[:2], device=states.device) if mask is None else mask.to(states.device)
            return pipe.transformer(
                noisy, encoder_hidden_states=states, encoder_attention_mask=attended.to(states.dtype), timestep=times,
                added_cond_kwargs=_shape(pipe, noisy),
            ).sample  # fmt: skip
        raise ModelError(
            f"{type(pipe).__name__} cannot be trained towards: its {kind} is not called in a way known here; "
            "Stable Diffusion, Stable Diffusion XL, Stable Diffusion 3 and PixArt are"
        )


def _shape(pipe: Any, noisy: Any) -> dict[str, Any]:
    """What PixArt is told beside the prompt: height, width and their ratio, if it was trained to look at them."""
    if not pipe.transformer.use_additional_conditions:
        return {"resolution": None, "aspect_ratio": None}
    height, width = (side * pipe.vae_scale_factor for side in noisy.shape[2:])
    sides, ratio = noisy.new_tensor([[height, width]]), noisy.new_tensor([[height / width]])
    return {"resolution": sides.expand(len(noisy), -1), "aspect_ratio": ratio.expand(len(noisy), -1)}


def _sizes(pipe: Any, noisy: Any, pooled: Any) -> dict[str, Any]:
    """What Stable Diffusion XL is told beside the prompt: the pooled embedding, and a picture neither scaled nor cut."""
    height, width = (side * pipe.vae_scale_factor for side in noisy.shape[2:])
    ids = pooled.new_tensor([[height, width, 0, 0, height, width]]).expand(len(noisy), -1)
    return {"text_embeds": pooled, "time_ids": ids}
