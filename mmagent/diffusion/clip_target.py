"""Training towards a generator of clips, as `trainable` has it for pictures.

Shapes: B clips, F frames, H × W pixels, C × f × h × w latents, L tokens, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mmagent.diffusion.clip_preview import scaled
from mmagent.diffusion.clip_wires import WAN_TOKENS
from mmagent.diffusion.trainable import DenoisingTarget
from mmagent.errors import ModelError
from mmagent.media import Video

if TYPE_CHECKING:
    import torch


class ClipTarget(DenoisingTarget):
    """Training towards a loaded `ClipDiffuser`: Wan, LTX, Latte, AnimateDiff and TextToVideoSD; else ModelError.

    Videos keep their size, cut to what the network takes; those of a batch are brought to the size of the first,
    and cut to the frames of the shortest.
    """

    def _latents(self, pipe: Any, media: Sequence[Any], generator: torch.Generator) -> Any:
        import torch

        vae, network = pipe.vae, getattr(pipe, "transformer", None)
        pace = getattr(pipe, "vae_temporal_compression_ratio", None) or vae.config.get("scale_factor_temporal") or 1
        pixels = _pixels(media, _grain(pipe, network), pace).to(vae.device, vae.dtype)  # [B, 3, F, H, W]
        with torch.no_grad():
            if type(vae).__name__ != "AutoencoderKL":
                return scaled(vae, vae.encode(pixels).latent_dist.sample(generator))
            n_frames = pixels.shape[2]
            found = vae.encode(pixels.transpose(1, 2).flatten(0, 1)).latent_dist.sample(generator)  # [B F, C, h, w]
            return scaled(vae, found.unflatten(0, (-1, n_frames)).transpose(1, 2))

    def _predict(
        self, pipe: Any, noisy: Any, times: Any, states: Any, mask: torch.Tensor | None, pooled: torch.Tensor | None
    ) -> Any:
        """What the denoiser says of noisy latents `[B, C, f, h, w]`, called as its pipeline calls it."""
        import torch

        kind = type(getattr(pipe, "unet", None) or pipe.transformer).__name__
        attended = torch.ones(states.shape[:2], device=states.device) if mask is None else mask.to(states.device)
        if kind == "UNet3DConditionModel":
            return pipe.unet(noisy, times, encoder_hidden_states=states).sample
        if kind == "UNetMotionModel":  # frame by frame
            return pipe.unet(noisy, times, encoder_hidden_states=states.repeat_interleave(noisy.shape[2], 0)).sample
        if kind == "LatteTransformer3DModel":  # is given no mask, but the states that count, of which each has its own
            return torch.cat([
                pipe.transformer(clip[None], timestep=time[None], encoder_hidden_states=rows[kept.bool()][None]).sample
                for clip, time, rows, kept in zip(noisy, times, states, attended, strict=True)
            ])  # fmt: skip
        if kind == "WanTransformer3DModel":
            filled = torch.nn.functional.pad(states * attended[..., None], (0, 0, 0, WAN_TOKENS - states.shape[1]))
            if pipe.config.expand_timesteps:  # a time for each patch
                _, across, down = pipe.transformer.config.patch_size
                n_patches = noisy.shape[2] * (noisy.shape[3] // across) * (noisy.shape[4] // down)
                times = times[:, None].expand(-1, n_patches)
            return pipe.transformer(noisy, timestep=times, encoder_hidden_states=filled).sample
        if kind == "LTXVideoTransformer3DModel":
            return _ltx(pipe, noisy, times, states, attended.to(states.dtype))
        raise ModelError(
            f"{type(pipe).__name__} cannot be trained towards: its {kind} is not called in a way known here; "
            "Wan, LTX, Latte, AnimateDiff and TextToVideoSD are"
        )


def _grain(pipe: Any, network: Any) -> int:
    """What height and width are multiples of: the VAE's own step, and the patches that a transformer cuts."""
    names = ("vae_spatial_compression_ratio", "vae_scale_factor_spatial", "vae_scale_factor")
    step = next(int(getattr(pipe, name)) for name in names if hasattr(pipe, name))
    patch = network.config.get("patch_size", 1) if network is not None else 8
    return step * int(patch[-1] if isinstance(patch, list | tuple) else patch)


def _pixels(media: Sequence[Video], grain: int, pace: int) -> Any:
    """The videos as one tensor `[B, 3, F, H, W]` in -1 … 1, of 1 + n · `pace` frames, sides multiples of `grain`."""
    import numpy as np
    import torch
    from torch.nn.functional import interpolate

    n_frames = min(len(video.array) for video in media)
    n_frames = (n_frames - 1) // pace * pace + 1
    size = [max(grain, side // grain * grain) for side in media[0].array.shape[1:3]]
    found = []
    for video in media:
        frames = torch.from_numpy(np.array(video.array[:n_frames])).permute(0, 3, 1, 2).float()  # [F, 3, H, W]
        frames = interpolate(frames, size=size, mode="bilinear", antialias=True)
        found.append(frames.transpose(0, 1) / 127.5 - 1)
    return torch.stack(found)


def _ltx(pipe: Any, noisy: Any, times: Any, states: Any, mask: Any) -> Any:
    """LTX's denoiser, which takes latents packed into tokens, and is told how far apart they are."""
    frames, height, width = noisy.shape[2:]
    patches = pipe.transformer_spatial_patch_size, pipe.transformer_temporal_patch_size
    side = pipe.vae_spatial_compression_ratio
    said = pipe.transformer(
        hidden_states=pipe._pack_latents(noisy, *patches), encoder_hidden_states=states, timestep=times,
        encoder_attention_mask=mask, num_frames=frames, height=height, width=width,
        rope_interpolation_scale=(pipe.vae_temporal_compression_ratio / 25, side, side),  # at its own 25 frames a second
    ).sample  # fmt: skip
    return pipe._unpack_latents(said, frames, height, width, *patches)
