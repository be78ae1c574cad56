"""How each small family is asked for something tiny, and media of the kind that it makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mmagent import Audio, Image, Video
from mmagent.diffusion import AudioDiffuser, Diffuser, ImageDiffuser, VideoDiffuser
from mmagent.diffusion.small import audio, image, video

KINDS: dict[str, Callable[..., Diffuser]] = {
    **dict.fromkeys(image.FAMILIES, ImageDiffuser),
    **dict.fromkeys(video.FAMILIES, VideoDiffuser),
    **dict.fromkeys(audio.FAMILIES, AudioDiffuser),
}
SECONDS = 0.02
SIZES: dict[str, dict[str, Any]] = {
    **{family: {"width": 32, "height": 32} for family in image.FAMILIES},
    **{family: {"seconds": SECONDS} for family in audio.FAMILIES},
    "wan": {"width": 16, "height": 16, "frames": 5},
    "wan-from-picture": {"width": 32, "height": 32, "frames": 5},
    "ltx": {"width": 32, "height": 32, "frames": 9},
    "cogvideox": {"width": 16, "height": 16, "frames": 9},
    "cogvideox-1.5": {"width": 16, "height": 16, "frames": 9},
    "animatediff": {"frames": 3},
    "latte": {"width": 16, "height": 16},
    "text-to-video-sd": {"frames": 3},
    "hunyuan-video": {"width": 16, "height": 16, "frames": 5},
}
"""What a call of a family is told, in the words of its tool."""


def made(diffuser: Diffuser, ctx: Any, asked: Any, **options: Any) -> Any:
    """What a loaded family makes of what is asked, in its tiny size."""
    family = diffuser.model.rsplit("/")[-1]
    call = {ImageDiffuser: "image", VideoDiffuser: "video", AudioDiffuser: "audio"}[type(diffuser)]
    return getattr(diffuser, call)(ctx, asked, **{**SIZES[family], **options})


def media(diffuser: Diffuser, n: int = 2, seed: int = 0) -> list[Any]:
    """Media to train a family towards, of unlike lengths where they have one."""
    draw = np.random.default_rng(seed)
    if isinstance(diffuser, ImageDiffuser):
        return [Image(draw.integers(0, 256, (33, 35, 3), dtype=np.uint8)) for _ in range(n)]
    if isinstance(diffuser, VideoDiffuser):
        always = 16 if "Latte" in type(diffuser.pipe).__name__ else 0  # which knows videos of 16 frames alone
        frames = [always or 5 + index for index in range(n)]
        side = 33 if type(diffuser.pipe).__name__ in ("WanPipeline", "LTXPipeline") else 17
        return [Video(draw.integers(0, 256, (length, side, side + 2, 3), dtype=np.uint8), fps=8) for length in frames]
    assert isinstance(diffuser, AudioDiffuser)
    lengths = [400 + 50 * index if diffuser.vocoder is not None else 90 + 9 * index for index in range(n)]
    return [Audio(draw.standard_normal(length).astype("f4") * 0.1, diffuser.rate) for length in lengths]
