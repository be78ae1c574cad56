"""What latents look like while they are denoised: a linear map to colours, which costs next to nothing.

A VAE's latents hold the colours of a picture all but linearly. The map is fitted to the checkpoint's own decoder,
once, on small smooth latents. Shapes: C latent channels, h × w latents, N places.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mmagent.media import Image

SIDE = 16  # latents; a pass of the decoder over so few costs about 1/16 of that for 512 × 512 pixels
SAMPLES = 4


class LatentColours:
    """Makes small pictures `[h, w, 3]` of latents `[1, C, h, w]`, one pixel a latent."""

    def __init__(self, vae: Any) -> None:
        self._vae = vae
        self._map: Any = None

    def __call__(self, latents: Any) -> Image | None:
        """A preview of latents as a pipeline holds them while it runs; None where they are no `[1, C, h, w]`."""
        import torch

        if latents.ndim != 4 or latents.shape[1] != self._vae.config.get("latent_channels"):
            return None  # packed into tokens, or something else than pictures
        with torch.inference_mode():
            if self._map is None:
                self._map = _fit(self._vae)
            places = latents[0].float().cpu().flatten(1).T  # [N, C]
            colours = _with_one(places) @ self._map  # [N, 3]
            pixels = colours.clamp(0, 1).mul(255).round().to(torch.uint8)
        return Image(pixels.reshape(*latents.shape[2:], 3).numpy())


def _fit(vae: Any) -> Any:
    """The map `[C + 1, 3]` that comes closest, by least squares, to what the decoder makes of smooth latents."""
    import torch
    from torch.nn.functional import adaptive_avg_pool2d, interpolate

    noise = torch.Generator().manual_seed(0)
    channels = vae.config.latent_channels
    coarse = torch.randn(SAMPLES, channels, SIDE // 4, SIDE // 4, generator=noise)
    smooth = interpolate(coarse, size=(SIDE, SIDE), mode="bilinear") * 1.5  # [S, C, 16, 16], of about unit variance
    with precise(vae):
        pixels = vae.decode(unscaled(vae, smooth.to(vae.device, vae.dtype)), return_dict=False)[0].float().cpu()
    colours = adaptive_avg_pool2d(pixels[:, :3], SIDE).clamp(-1, 1).add(1).div(2)
    colours = colours.expand(-1, 3, -1, -1)  # [S, 3, 16, 16], of grey ones too
    places = smooth.permute(0, 2, 3, 1).reshape(-1, channels)  # [N, C]
    return torch.linalg.lstsq(_with_one(places), colours.permute(0, 2, 3, 1).reshape(-1, 3)).solution


def _with_one(places: Any) -> Any:
    import torch

    return torch.cat([places, torch.ones(len(places), 1)], dim=1)


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


def unscaled(vae: Any, latents: Any) -> Any:
    """Latents as the VAE has them, of latents as the denoiser has them."""
    shift = vae.config.get("shift_factor") or 0.0
    return latents / vae.config.get("scaling_factor", 1.0) + shift


def scaled(vae: Any, latents: Any) -> Any:
    """Latents as the denoiser has them, of latents as the VAE has them."""
    shift = vae.config.get("shift_factor") or 0.0
    return (latents - shift) * vae.config.get("scaling_factor", 1.0)
