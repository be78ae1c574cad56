"""Denoisers of pictures. Shapes: B pictures, C × h × w latents, L tokens."""

from __future__ import annotations

from typing import Any

from mmagent.diffusion.denoisers.batch import Batch, Call

UNGUIDED = 1.0
"""At this guidance a network that was distilled from a guided one says what the unguided one would (Meng et al. 2022, arXiv:2210.03142)."""


def unet(pipe: Any, batch: Batch) -> Any:
    """Stable Diffusion and XL; AudioLDM, which is given one vector `[B, 1, D]` as a class."""
    config = pipe.unet.config
    if config.class_embed_type == "simple_projection":
        return pipe.unet(batch.latents, batch.times, None, class_labels=batch.states[:, 0]).sample
    added = None if batch.pooled is None else {"text_embeds": batch.pooled, "time_ids": _sizes(pipe, batch)}
    return pipe.unet(batch.latents, batch.times, batch.states, added_cond_kwargs=added).sample


def _sizes(pipe: Any, batch: Batch) -> Any:
    """What Stable Diffusion XL is told when it is asked for a whole picture of this size."""
    height, width = (side * pipe.vae_scale_factor for side in batch.latents.shape[2:])
    return batch.latents.new_tensor([[height, width, 0, 0, height, width]]).expand(len(batch.latents), -1)


def sd3(pipe: Any, batch: Batch) -> Any:
    """Stable Diffusion 3."""
    return pipe.transformer(
        batch.latents, timestep=batch.times, encoder_hidden_states=batch.states, pooled_projections=batch.pooled
    ).sample


def flux(pipe: Any, batch: Batch) -> Any:
    """Flux, which takes latents packed into tokens, four of them each, and is told where each of these is."""
    import torch

    latents, network, side = batch.latents, pipe.transformer, pipe.vae_scale_factor
    n_items, n_channels, height, width = latents.shape
    guidance = latents.new_full((n_items,), UNGUIDED) if network.config.guidance_embeds else None
    said = network(
        hidden_states=pipe._pack_latents(latents, n_items, n_channels, height, width), timestep=batch.times / 1000,
        guidance=guidance, pooled_projections=batch.pooled, encoder_hidden_states=batch.states,
        txt_ids=torch.zeros(batch.states.shape[1], 3).to(latents),
        img_ids=pipe._prepare_latent_image_ids(n_items, height // 2, width // 2, latents.device, latents.dtype),
    ).sample  # fmt: skip
    return pipe._unpack_latents(said, height * side, width * side, side)


def pixart(pipe: Any, batch: Batch) -> Any:
    """PixArt, which looks at the mask; from 1024 pixels on it is told height, width and their ratio."""
    sides, ratio = None, None
    if pipe.transformer.use_additional_conditions:
        height, width = (side * pipe.vae_scale_factor for side in batch.latents.shape[2:])
        sides = batch.latents.new_tensor([[height, width]]).expand(len(batch.latents), -1)
        ratio = sides[:, :1] / sides[:, 1:]
    return pipe.transformer(
        batch.latents, encoder_hidden_states=batch.states, encoder_attention_mask=batch.mask.to(batch.states.dtype),
        timestep=batch.times, added_cond_kwargs={"resolution": sides, "aspect_ratio": ratio},
    ).sample  # fmt: skip


def z_image(pipe: Any, batch: Batch) -> Any:
    """Z-Image, whose time runs the other way, and its flow with it; of each prompt it takes the states that count."""
    import torch

    frames = list(batch.latents[:, :, None].unbind())  # B of [C, 1, h, w]
    said = pipe.transformer(frames, 1 - batch.times / 1000, batch.kept).sample
    return -torch.stack(said)[:, :, 0]


KINDS: dict[str, Call] = {
    "UNet2DConditionModel": unet,
    "SD3Transformer2DModel": sd3,
    "FluxTransformer2DModel": flux,
    "PixArtTransformer2DModel": pixart,
    "ZImageTransformer2DModel": z_image,
}
