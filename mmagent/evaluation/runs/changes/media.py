"""Noise on pictures, videos, sounds and points; blur on pictures and videos."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mmagent.evaluation.runs.perturb import Change
from mmagent.media import Audio, Image, Media, Points, Video

if TYPE_CHECKING:
    import numpy as np

    from mmagent.evaluation.runs.perturb import Random

    Array = np.ndarray[Any, np.dtype[Any]]


def noisy_picture(image: Image, strength: float, random: Random) -> Image:
    """Gaussian noise with a standard deviation of `strength` times the full range; transparency stays."""
    import numpy as np

    pixels = image.array
    colours = pixels.shape[2] - (pixels.shape[2] == 4)
    noisy = pixels.copy()
    noisy[:, :, :colours] = _noisy(pixels[:, :, :colours], strength, random, float(np.iinfo(pixels.dtype).max))
    return Image(noisy)


def noisy_video(video: Video, strength: float, random: Random) -> Video:
    """The same on every frame, drawn anew for each."""
    import numpy as np

    frames = [_noisy(frame, strength, random, 255.0) for frame in video.array]
    return Video(np.stack(frames), fps=video.fps, audio=video.audio)


def noisy_sound(audio: Audio, strength: float, random: Random) -> Audio:
    """White noise whose root mean square is `strength` times the sound's; 1 is a signal-to-noise ratio of 0 dB."""
    import numpy as np

    samples = audio.array
    loudness = float(np.sqrt(np.square(samples, dtype=float).mean())) if samples.size else 0.0
    noisy = samples + strength * loudness * random.standard_normal(samples.shape)
    return type(audio)(np.clip(noisy, -1, 1).astype("float32"), audio.rate)


def noisy_points(points: Points, strength: float, random: Random) -> Points:
    """Gaussian noise on positions, with a standard deviation of `strength` times their mean distance to the middle."""
    import numpy as np

    table = points.array.copy()
    places = table[:, :3]
    radius = float(np.linalg.norm(places - places.mean(axis=0), axis=1).mean()) if len(places) else 0.0
    table[:, :3] = places + strength * radius * random.standard_normal(places.shape)
    return Points(table)


def blurred_picture(image: Image, strength: float, random: Random) -> Image:
    """Gaussian blur with a radius of `strength` times the shorter side, so that the size does not matter."""
    return Image(_blurred(image, strength))


def blurred_video(video: Video, strength: float, random: Random) -> Video:
    """The same on every frame."""
    import numpy as np

    frames = [_blurred(Image(frame), strength) for frame in video.array]
    return Video(np.stack(frames), fps=video.fps, audio=video.audio)


def _noisy(pixels: Array, strength: float, random: Random, full: float) -> Array:
    import numpy as np

    noisy = pixels + strength * full * random.standard_normal(pixels.shape)
    return np.clip(np.rint(noisy), 0, full).astype(pixels.dtype)


def _blurred(image: Image, strength: float) -> Array:
    import numpy as np
    from PIL import ImageFilter

    mode = {1: "L", 3: "RGB", 4: "RGBA"}[image.channels]
    radius = strength * min(image.width, image.height)
    return np.asarray(image.pil(mode).filter(ImageFilter.GaussianBlur(radius)))


_NOISY: dict[str, Callable[[Any, float, Any], Media]] = {
    "image": noisy_picture,
    "video": noisy_video,
    "audio": noisy_sound,
    "points": noisy_points,
}
NOISE = Change("noise", (0.05, 0.1, 0.2, 0.4), media=_NOISY)
BLUR = Change("blur", (0.01, 0.02, 0.05, 0.1), media={"image": blurred_picture, "video": blurred_video})
