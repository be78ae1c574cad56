"""What a VAE and a denoiser call latents, and the way from one to the other, whatever the medium.

Shapes: B items, C latent channels, h × w latents of pictures; videos have f before them, sounds one length alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def encoded(vae: Any, pixels: Any, generator: Any) -> Any:
    """A sample of the latents of pixels (or frames, or samples) in -1 … 1, as the denoiser has them; no gradients.

    A VAE of pictures takes videos `[B, 3, F, H, W]` frame by frame, and gives `[B, C, F, h, w]`; one of videos takes
    them one by one, for their size, and since HunyuanVideo's takes no more.
    """
    import torch

    pixels = pixels.to(vae.device)
    whole = sees_time(vae)
    by_frame = pixels.ndim == 5 and not whole
    rows = pixels.transpose(1, 2).flatten(0, 1) if by_frame else pixels
    with torch.no_grad(), precise(vae):
        parts = rows.to(vae.dtype).split(1 if whole else len(rows))
        latents = torch.cat([vae.encode(part).latent_dist.sample(generator) for part in parts])
    if by_frame:
        latents = latents.reshape(len(pixels), -1, *latents.shape[1:]).transpose(1, 2)
    return scaled(vae, latents)


def sees_time(vae: Any) -> bool:
    """Whether a VAE takes a video whole: it convolves over time."""
    return any(weight.ndim == 5 for weight in vae.parameters())


def channels(vae: Any) -> int | None:
    """How many latent channels a VAE has."""
    found = vae.config.get("latent_channels") or vae.config.get("z_dim")
    return found if isinstance(found, int) else None


def unscaled(vae: Any, latents: Any) -> Any:
    """Latents `[B, C, …]` as the VAE has them, of latents as the denoiser has them."""
    mean, deviation, factor = _statistics(vae, latents)
    return latents * deviation / factor + mean


def scaled(vae: Any, latents: Any) -> Any:
    """Latents `[B, C, …]` as the denoiser has them, of latents as the VAE has them."""
    mean, deviation, factor = _statistics(vae, latents)
    return (latents - mean) * factor / deviation


def _statistics(vae: Any, like: Any) -> tuple[Any, Any, float]:
    """Mean and deviation of the latents by channel, and a factor for all, in the VAE's config or beside its weights.

    Where neither says they are 0, 1 and 1.
    """
    import torch

    def row(name: str, none: float) -> Any:
        found = vae.config.get(name)
        found = dict(vae.named_buffers()).get(name, none) if found is None else found
        value = torch.as_tensor(found, device=like.device, dtype=like.dtype)
        return value.reshape(1, -1, *[1] * (like.ndim - 2))

    shift, factor = (vae.config.get(name) or none for name, none in (("shift_factor", 0.0), ("scaling_factor", 1.0)))
    return row("latents_mean", shift), row("latents_std", 1.0), factor


@contextmanager
def precise(vae: Any) -> Iterator[None]:
    """Hold a VAE in float32 that says it overflows in float16, Stable Diffusion XL's, as its pipeline does."""
    import torch

    overflows = vae.dtype == torch.float16 and bool(vae.config.get("force_upcast"))
    if overflows:
        vae.to(torch.float32)
    try:
        yield
    finally:
        if overflows:
            vae.to(torch.float16)  # the very weights that it had
