"""What latents look like while they are denoised: a linear map to colours, which costs next to nothing.

A VAE's latents hold the colours of a picture all but linearly. The map is fitted to the checkpoint's own decoder,
once, on small smooth latents. Shapes: C latent channels, f × h × w latents, N places.
"""

from __future__ import annotations

from typing import Any

from mmagent.diffusion.latents import channels, precise, sees_time, unscaled
from mmagent.media import Image

SIDE = 16  # latents; a pass of the decoder over so few costs about 1/16 of that for 512 × 512 pixels
SAMPLES = 4


class LatentColours:
    """Makes small pictures `[h, w, 3]`, one pixel a latent, of the latents that a pipeline holds while it runs.

    Of a picture they are `[1, C, h, w]`; of a video, `[1, C, f, h, w]` or, `frames_first`, `[1, f, C, h, w]`, its
    middle frame is shown.
    """

    def __init__(self, vae: Any, frames_first: bool = False) -> None:
        self._vae, self._frames_first = vae, frames_first
        self._map: Any = None

    def __call__(self, latents: Any) -> Image | None:
        """The preview; None where the latents are of another shape: packed into tokens, or a sound's."""
        import torch

        n_channels = channels(self._vae)
        if latents.ndim == 5:
            frames = latents.transpose(1, 2) if self._frames_first else latents
            latents = frames[:, :, frames.shape[2] // 2]
        if n_channels is None or latents.ndim != 4 or latents.shape[1] != n_channels:
            return None
        with torch.inference_mode():
            if self._map is None:
                self._map = _fit(self._vae, n_channels)
            places = latents[0].float().cpu().flatten(1).T  # [N, C]
            colours = _with_one(places) @ self._map  # [N, 3]
            pixels = colours.clamp(0, 1).mul(255).round().to(torch.uint8)
        return Image(pixels.reshape(*latents.shape[2:], 3).numpy())


def frames_first(pipe: Any) -> bool:
    """Whether a pipeline holds the latents of videos as `[B, f, C, h, w]`; the rest have channels before frames."""
    return type(pipe).__name__.startswith(("CogVideoX", "ConsisID", "StableVideoDiffusion"))


def _fit(vae: Any, n_channels: int) -> Any:
    """The map `[C + 1, 3]` that comes closest, by least squares, to what the decoder makes of smooth latents."""
    import torch
    from torch.nn.functional import adaptive_avg_pool2d, interpolate

    noise = torch.Generator().manual_seed(0)
    coarse = torch.randn(SAMPLES, n_channels, SIDE // 4, SIDE // 4, generator=noise)
    smooth = interpolate(coarse, size=(SIDE, SIDE), mode="bilinear") * 1.5  # [S, C, 16, 16], of about unit variance
    with precise(vae):
        latents = unscaled(vae, smooth.to(vae.device, vae.dtype))
        if sees_time(vae):  # one by one: HunyuanVideo's takes no more
            frames = [vae.decode(item[None, :, None], return_dict=False)[0][:, :, 0] for item in latents]
            pixels = torch.cat(frames)
        else:
            pixels = vae.decode(latents, return_dict=False)[0]
    colours = adaptive_avg_pool2d(pixels.float().cpu()[:, :3], SIDE).clamp(-1, 1).add(1).div(2)
    colours = colours.expand(-1, 3, -1, -1)  # [S, 3, 16, 16], of grey ones too
    places = smooth.permute(0, 2, 3, 1).reshape(-1, n_channels)  # [N, C]
    return torch.linalg.lstsq(_with_one(places), colours.permute(0, 2, 3, 1).reshape(-1, 3)).solution


def _with_one(places: Any) -> Any:
    import torch

    return torch.cat([places, torch.ones(len(places), 1)], dim=1)
