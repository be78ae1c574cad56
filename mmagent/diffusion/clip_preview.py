"""What a clip looks like while it is denoised: its middle frame, by the same cheap map to colours as for pictures.

Shapes: B clips, C latent channels, f × h × w latents.
"""

from __future__ import annotations

from typing import Any

from mmagent.diffusion.preview import LatentColours
from mmagent.media import Image


class ClipColours:
    """Makes small pictures of the latents of clips, `[1, C, f, h, w]` or `[1, f, C, h, w]`; None of any other."""

    def __init__(self, pipe: Any) -> None:
        self._vae = _Frames(pipe)
        self._colours = LatentColours(self._vae)

    def __call__(self, latents: Any) -> Image | None:
        if latents.ndim != 5:
            return None  # packed into tokens
        if latents.shape[1] != self._vae.config.latent_channels:
            latents = latents.transpose(1, 2)
        return self._colours(latents[:, :, latents.shape[2] // 2])


class _Frames:
    """The VAE of a video pipeline as one for pictures: each is a clip of one frame."""

    def __init__(self, pipe: Any) -> None:
        from diffusers.configuration_utils import FrozenDict

        self._vae = pipe.vae
        channels = pipe.vae.config.get("latent_channels") or pipe.vae.config.get("z_dim")
        self.config = FrozenDict(latent_channels=channels, scaling_factor=1.0)  # `decode` undoes the scaling

    @property
    def device(self) -> Any:
        return self._vae.device

    @property
    def dtype(self) -> Any:
        return self._vae.dtype

    def decode(self, latents: Any, return_dict: bool = True) -> tuple[Any]:
        """The pixels `[B, 3, H, W]` of latents `[B, C, h, w]` as the denoiser has them."""
        whole = unscaled(self._vae, latents[:, :, None])  # [B, C, 1, h, w]
        if type(self._vae).__name__ == "AutoencoderKL":
            return (self._vae.decode(whole[:, :, 0], return_dict=False)[0],)
        return (self._vae.decode(whole, return_dict=False)[0][:, :, 0],)


def unscaled(vae: Any, latents: Any) -> Any:
    """Latents as the VAE has them, of latents `[B, C, f, h, w]` as the denoiser has them."""
    mean, std = statistics(vae, latents)
    return latents * std / vae.config.get("scaling_factor", 1.0) + mean


def scaled(vae: Any, latents: Any) -> Any:
    """Latents as the denoiser has them, of latents `[B, C, f, h, w]` as the VAE has them."""
    mean, std = statistics(vae, latents)
    return (latents - mean) * vae.config.get("scaling_factor", 1.0) / std


def statistics(vae: Any, like: Any) -> tuple[Any, Any]:
    """The mean and deviation of each latent channel `[1, C, 1, 1, 1]`, in the config or beside the weights; or 0 and 1."""
    import torch

    found, buffers = [], dict(vae.named_buffers())
    for name, none in (("latents_mean", 0.0), ("latents_std", 1.0)):
        value = vae.config.get(name)
        value = buffers.get(name) if value is None else value
        row = torch.as_tensor(none if value is None else value, device=like.device, dtype=like.dtype)
        found.append(row.reshape(1, -1, 1, 1, 1))
    return found[0], found[1]
