"""Denoisers of videos. Shapes: B videos, C × f × h × w latents, L tokens."""

from __future__ import annotations

from typing import Any

from mmagent.diffusion.denoisers.batch import Batch, Call
from mmagent.diffusion.video_wires import WAN_TOKENS


def unet3d(pipe: Any, batch: Batch) -> Any:
    """TextToVideoSD."""
    return pipe.unet(batch.latents, batch.times, batch.states).sample


def motion(pipe: Any, batch: Batch) -> Any:
    """AnimateDiff, which is given the prompt for each frame."""
    return pipe.unet(batch.latents, batch.times, batch.states.repeat_interleave(batch.latents.shape[2], 0)).sample


def latte(pipe: Any, batch: Batch) -> Any:
    """Latte, which is given no mask, but the states that count, of which each prompt has a number of its own."""
    import torch

    return torch.cat([
        pipe.transformer(clip[None], timestep=time[None], encoder_hidden_states=rows[None]).sample
        for clip, time, rows in zip(batch.latents, batch.times, batch.kept, strict=True)
    ])  # fmt: skip


def wan(pipe: Any, batch: Batch) -> Any:
    """Wan, whose prompts are filled up with zeros; 2.2's small network is told a time for each patch."""
    from torch.nn.functional import pad

    latents, times = batch.latents, batch.times
    states = pad(batch.states * batch.mask[..., None], (0, 0, 0, WAN_TOKENS - batch.states.shape[1]))
    if pipe.config.expand_timesteps:
        _, down, across = pipe.transformer.config.patch_size
        n_patches = latents.shape[2] * (latents.shape[3] // down) * (latents.shape[4] // across)
        times = times[:, None].expand(-1, n_patches)
    return pipe.transformer(latents, timestep=times, encoder_hidden_states=states).sample


def ltx(pipe: Any, batch: Batch) -> Any:
    """LTX, which takes latents packed into tokens, and is told how far apart they are: of time, in seconds."""
    import torch

    frames, height, width = batch.latents.shape[2:]
    patches = pipe.transformer_spatial_patch_size, pipe.transformer_temporal_patch_size
    side = pipe.vae_spatial_compression_ratio
    rates = torch.tensor([video.fps for video in batch.media], dtype=torch.float32, device=batch.latents.device)
    pace = pipe.vae_temporal_compression_ratio / rates.reshape(-1, 1, 1, 1, 1)  # by item, beside [B, 1, f, h, w] places
    said = pipe.transformer(
        hidden_states=pipe._pack_latents(batch.latents, *patches), encoder_hidden_states=batch.states,
        timestep=batch.times, encoder_attention_mask=batch.mask.to(batch.states.dtype), num_frames=frames,
        height=height, width=width, rope_interpolation_scale=(pace, side, side),
    ).sample  # fmt: skip
    return pipe._unpack_latents(said, frames, height, width, *patches)


def cogvideox(pipe: Any, batch: Batch) -> Any:
    """CogVideoX, which has frames before channels, and, but for the smallest, is told where each patch is."""
    latents, config, side = batch.latents.transpose(1, 2), pipe.transformer.config, pipe.vae_scale_factor_spatial
    places = None
    if config.use_rotary_positional_embeddings:
        height, width = (pixels * side for pixels in latents.shape[3:])
        places = pipe._prepare_rotary_positional_embeddings(height, width, latents.shape[1], latents.device)
    said = pipe.transformer(
        latents, encoder_hidden_states=batch.states, timestep=batch.times, image_rotary_emb=places
    ).sample
    return said.transpose(1, 2)


def hunyuan(pipe: Any, batch: Batch) -> Any:
    """HunyuanVideo 1.5 without a picture to start from and without words to write into the video."""
    import torch

    latents, config = batch.latents, pipe.transformer.config
    n_items, n_channels = latents.shape[:2]
    nothing_shown = torch.zeros_like(latents[:, :1]).expand(-1, n_channels + 1, -1, -1, -1)
    n_written = pipe.tokenizer_2_max_length
    return pipe.transformer(
        torch.cat([latents, nothing_shown], dim=1), timestep=batch.times,
        encoder_hidden_states=batch.states, encoder_attention_mask=batch.mask.to(latents.dtype),
        encoder_hidden_states_2=latents.new_zeros(n_items, n_written, config.text_embed_2_dim),
        encoder_attention_mask_2=latents.new_zeros(n_items, n_written),
        image_embeds=latents.new_zeros(n_items, pipe.vision_num_semantic_tokens, config.image_embed_dim),
    ).sample  # fmt: skip


KINDS: dict[str, Call] = {
    "UNet3DConditionModel": unet3d,
    "UNetMotionModel": motion,
    "LatteTransformer3DModel": latte,
    "WanTransformer3DModel": wan,
    "LTXVideoTransformer3DModel": ltx,
    "CogVideoXTransformer3DModel": cogvideox,
    "HunyuanVideo15Transformer3DModel": hunyuan,
}
