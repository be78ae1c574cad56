"""Media as LangChain's standard content blocks: the only place of a request that carries their bytes."""

from __future__ import annotations

import base64
import io
import wave
from typing import TYPE_CHECKING

import numpy as np

from mmagent.media import Audio, Image, Media, Video

if TYPE_CHECKING:
    from langchain_core.messages.content import ContentBlock


def block(medium: Media) -> ContentBlock:
    """A picture as PNG, sound as 16-bit WAV, a video as MP4, anything else as a file of its own format.

    These are the formats that providers take: none of them reads 32-bit WAV, and few 16-bit PNG or Matroska.
    MediaError for a medium without a file format, MissingExtra for a video without the library.
    """
    if isinstance(medium, Image):
        return {"type": "image", "mime_type": "image/png", "base64": _text(_png(medium))}
    if isinstance(medium, Audio):
        return {"type": "audio", "mime_type": "audio/wav", "base64": _text(_wav(medium))}
    if isinstance(medium, Video):
        return {"type": "video", "mime_type": "video/mp4", "base64": _text(medium.encode(".mp4"))}
    name = {"filename": f"{medium.modality}{medium.suffix}"}
    return {"type": "file", "mime_type": medium.mime, "base64": _text(medium.encode()), "extras": name}


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _png(image: Image) -> bytes:
    """PNG of 8 bits a channel."""
    return (image if image.array.itemsize == 1 else Image(image.rgb())).encode(".png")


def _wav(audio: Audio) -> bytes:
    """WAV of 16 bits a sample."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(audio.channels)
        out.setsampwidth(2)
        out.setframerate(audio.rate)
        out.writeframes((np.clip(audio.array, -1, 1) * 32767).round().astype("<i2").tobytes())
    return file.getvalue()
