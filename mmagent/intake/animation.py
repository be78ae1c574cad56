"""Moving pictures in picture formats: GIF, WebP and PNG animations to frames, and frames to GIF."""

from __future__ import annotations

import io
from itertools import islice
from typing import TYPE_CHECKING, Any

from mmagent.errors import IntakeError
from mmagent.intake import gif
from mmagent.intake.image import open_picture, to_pil
from mmagent.intake.limits import Limits

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

_SHORTEST = 0.02
_STILL = 0.1
"""What browsers make of a delay shorter than `_SHORTEST`."""


def moves(data: bytes) -> bool:
    """Whether a GIF, WebP or PNG file holds more than one frame."""
    if data.startswith(b"GIF8"):
        return len(list(islice(gif.extents(data), 2))) > 1
    if data[:4] == b"RIFF" and data[8:16] == b"WEBPVP8X":
        return len(data) > 20 and bool(data[20] & 2)
    return data.startswith(b"\x89PNG") and b"acTL" in data[: max(data.find(b"IDAT"), 0)]


def is_still(data: bytes) -> bool:
    """Whether a file is a picture that does not move, of a format that no video of one frame is written as.

    A GIF of one frame may be either: Video writes them.
    """
    if data.startswith(b"\x89PNG") or (data[:4] == b"RIFF" and data[8:12] == b"WEBP"):
        return not moves(data)
    return data[4:8] == b"ftyp" and data[8:12] in (b"avif", b"heic", b"heix", b"mif1")


def decode(data: bytes, name: str, limits: Limits) -> tuple[list[bytes], tuple[int, int], list[float]]:
    """The frames of an animation as packed RGB rows, their (height, width), and the second at which each begins.

    One more time, that at which the last frame ends, closes the list.
    """
    frames, times = [], [0.0]
    try:
        picture = open_picture(data, name, limits)
        for index in range(getattr(picture, "n_frames", 1)):
            limits.check("frames", index + 1, name)
            limits.check("decoded_bytes", (index + 1) * picture.width * picture.height * 3, name)
            picture.seek(index)
            picture.load()
            limits.check("pixels", picture.width * picture.height, name)
            delay = float(picture.info.get("duration", 0)) / 1000
            frames.append(picture.convert("RGB").tobytes())
            times.append(times[-1] + (delay if delay >= _SHORTEST else _STILL))
            limits.check("video_seconds", times[-1], name)
    except (IntakeError, MemoryError):
        raise
    except Exception as error:  # Pillow's plugins raise whatever a damaged file makes them stumble over
        raise IntakeError(f"{name}: the animation is damaged or truncated; export it again") from error
    size = picture.height, picture.width
    if any(len(frame) != size[0] * size[1] * 3 for frame in frames):
        raise IntakeError(f"{name}: its frames differ in size; export it with one size")
    return frames, size, times


def encode_gif(array: Array, fps: float) -> bytes:
    """The frames as an endless GIF of 256 colours a frame; its clock counts hundredths of a second."""
    ends = [round((index + 1) * 100 / fps) for index in range(len(array))]
    delays = [max(end - start, 2) * 10 for start, end in zip([0, *ends], ends)]
    first, *rest = (to_pil(frame).quantize() for frame in array)
    file = io.BytesIO()
    first.save(file, "GIF", save_all=True, append_images=rest, duration=delays, loop=0, disposal=1)
    return file.getvalue()
