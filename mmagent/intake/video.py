"""Moving pictures: files and arrays to uint8 RGB `[N, H, W, 3]` at an even rate, with sound or none, and back."""

from __future__ import annotations

import math
from numbers import Real
from typing import TYPE_CHECKING, Any, SupportsFloat

from mmagent.errors import IntakeError, MediaError
from mmagent.intake import animation, container, mux, pace
from mmagent.intake.limits import DEFAULT, Limits
from mmagent.intake.source import NAMELESS, read

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]
    Sound = tuple[Array, int]

FASTEST = 1000.0


def frames(
    source: object, fps: SupportsFloat | None = None, limits: Limits | None = None
) -> tuple[Array, float, Sound | None]:
    """Frames `[N, H, W, 3]`, rate and sound of a path, bytes, data URI, or array of frames with its rate.

    A file's rate comes from the file: giving another one raises MediaError.
    """
    import numpy as np

    if isinstance(source, np.ndarray) or hasattr(source, "__array__"):
        if fps is None:
            raise MediaError("a Video made of an array needs its rate in frames a second; give fps=...")
        return _checked(np.asarray(source)), _rate(fps), None
    found = read(source, limits=limits)
    array, own, sound = decode(found.data, found.name, limits)
    if fps is not None and float(fps) != own:
        raise MediaError(f"{found.name} has {own:g} frames a second, not {fps}; leave fps= out")
    return array, own, sound


def _rate(fps: object) -> float:
    # numpy's numbers and fractions are real numbers too; a bool, which Python counts among them, is a mistake.
    if isinstance(fps, bool) or not isinstance(fps, Real) or not 0.01 <= float(fps) <= FASTEST:
        raise MediaError(f"fps is a number of frames a second from 0.01 to {FASTEST:g}, not {fps!r}")
    return float(fps)


def _checked(array: Array) -> Array:
    if array.dtype != "uint8":
        raise MediaError(f"a Video is uint8, not {array.dtype}; scale the frames to 0 ... 255, then .astype('uint8')")
    if array.ndim != 4 or array.shape[3] != 3 or not array.size:
        raise MediaError(f"a Video is [N, H, W, 3] with at least one frame, not {array.shape}; stack RGB frames")
    return array


def decode(data: bytes, name: str = "", limits: Limits | None = None) -> tuple[Array, float, Sound | None]:
    """Frames `[N, H, W, 3]`, rate and sound of a video file or an animated GIF, WebP or PNG.

    Each frame of an even rate is kept once; an uneven rate is made even by holding frames (see `pace`).
    """
    import numpy as np

    name, bounds = name or NAMELESS, limits or DEFAULT
    bounds.check("file_bytes", len(data), name)
    sound: Sound | None = None
    stated: float | None = None
    if animation.is_still(data):
        raise IntakeError(f"{name}: a still picture; open it with Image, and make a Video of its array[None] with fps=")
    if data.startswith((b"GIF8", b"\x89PNG")) or data[8:12] == b"WEBP":
        packed, size, times = animation.decode(data, name, bounds)
    else:
        film = container.read_film(data, name, bounds)
        packed, size, times, stated = film.frames, film.size, film.times, film.stated
        sound = container.sound(film, name, bounds)
    fps, order = pace.even(times, stated, math.prod(size) * 3, name, bounds)
    joined = b"".join([packed[index] for index in order])
    return np.frombuffer(joined, "uint8").reshape(len(order), *size, 3), min(max(fps, 0.01), FASTEST), sound


def encode(array: Array, fps: float, sound: Sound | None, suffix: str, edge: int | None = None) -> bytes:
    """The video as a file.

    `.mkv` keeps every bit (FFV1 and float PCM). `.mp4` (H.264, AAC) and `.webm` (VP9, Opus) lose detail, and
    `.mp4` repeats the last row or column of an odd size, which H.264 cannot hold. `.gif` has 256 colours a
    frame and no sound. `edge` scales the longer side down to that many pixels, for showing.
    """
    import numpy as np

    suffix = suffix.lower()
    if suffix == ".gif":
        if sound is not None:
            raise MediaError("a GIF has no sound; write .mp4, or Video(video.array, fps=video.fps) as .gif")
        return animation.encode_gif(array, fps)
    if suffix not in mux.CODECS:
        raise MediaError(f"a Video cannot be written as {suffix!r}; use .mkv, .mp4, .webm or .gif")
    av = container.library(f"writing {suffix} files")
    if suffix == ".mp4":
        array = np.pad(array, ((0, 0), (0, array.shape[1] % 2), (0, array.shape[2] % 2), (0, 0)), mode="edge")
    height, width = array.shape[1:3]
    if edge is not None and max(height, width) > edge:
        scale = edge / max(height, width)
        height, width = (max(round(side * scale / 2) * 2, 2) for side in (height, width))
    try:
        return mux.write(array, fps, sound, suffix, (height, width))
    except (av.error.FFmpegError, ValueError) as error:
        what = f"{width}x{height} at {fps:g} fps" + (f" with {sound[0].shape[1]} channels" if sound else "")
        raise MediaError(f"{suffix} cannot hold {what}; write .mkv") from error
