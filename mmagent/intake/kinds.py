"""Telling the modality of bytes: by what they begin with, then by the ending of their name, then as text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from mmagent.errors import IntakeError
from mmagent.intake.text import is_text

_ENDINGS: Mapping[str, str] = {
    ".txt": "text", ".md": "text",
    ".png": "image", ".jpg": "image", ".jpeg": "image", ".webp": "image", ".bmp": "image", ".tif": "image",
    ".tiff": "image", ".ppm": "image", ".pgm": "image", ".avif": "image",
    ".wav": "audio", ".flac": "audio", ".ogg": "audio", ".opus": "audio", ".mp3": "audio", ".m4a": "audio",
    ".mkv": "video", ".mp4": "video", ".mov": "video", ".webm": "video", ".gif": "video", ".avi": "video",
    ".npy": "points", ".ply": "points", ".xyz": "points",
    ".npz": "embedding",
}  # fmt: skip

_BEGINNINGS: tuple[tuple[re.Pattern[bytes], str], ...] = tuple(
    (re.compile(pattern, re.DOTALL), modality)
    for pattern, modality in (
        (
            rb"\x89PNG\r\n\x1a\n|\xff\xd8\xff|BM.{4}\0\0\0\0|II\*\0|MM\0\*|P[1-6]\s(?:#[^\n]*\n)?\s*\d|RIFF....WEBP",
            "image",
        ),
        (rb"....ftyp(?:avif|avis|heic|heix|mif1)", "image"),
        (rb"RIFF....WAVE|fLaC|OggS|ID3|\xff[\xe2-\xe5\xf2-\xf5\xfa-\xfd]|FORM....AIF|\.snd", "audio"),
        (rb"....ftypM4[AB]", "audio"),
        (rb"....(?:ftyp|moov|mdat)|\x1aE\xdf\xa3|RIFF....AVI |GIF8[79]a", "video"),
        (rb"\x93NUMPY|ply\r?\n", "points"),
        (rb"PK\x03\x04.{26}(?:states|mask|space)\.npy", "embedding"),
    )
)


def ending(name: str) -> str:
    """The ending of a file's name, in lower case: `.png`, or nothing."""
    return PurePosixPath(name.replace("\\", "/")).suffix.lower()


def sniff(data: bytes, name: str = "", endings: Mapping[str, str] | None = None) -> str:
    """The name of the modality that `data` is a file of; IntakeError if it cannot be told.

    `endings` maps the endings of further modalities to their names. They come first: a modality of a user's
    own may well keep its values in a container that looks like something else.
    """
    found = ending(name)
    if endings and found in endings and found not in _ENDINGS:
        return endings[found]
    for pattern, modality in _BEGINNINGS:
        if pattern.match(data):
            return _refined(data, modality)
    if found in _ENDINGS:
        return _ENDINGS[found]
    if is_text(data):
        return "text"
    raise IntakeError(
        f"{name or 'the bytes given'}: not a kind of file that is known here ({len(data):,} bytes); "
        "convert it to PNG, WAV, MP4 or UTF-8 text, or open it with the class that reads it"
    )


def _refined(data: bytes, modality: str) -> str:
    """Tell apart what shares a container: moving and still pictures, sound alone and video."""
    from mmagent.intake.animation import moves

    if data.startswith((b"GIF8", b"RIFF", b"\x89PNG")) and modality in ("image", "video") and data[8:12] != b"AVI ":
        return "video" if moves(data) else "image"
    if data.startswith(b"\x1aE\xdf\xa3"):
        head = data[:65536]  # the track list comes before the pictures
        return "audio" if b"A_" in head and re.search(rb"V_[A-Z]", head) is None else modality
    return modality
