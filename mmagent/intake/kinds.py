"""Telling the modality of bytes: by a name of a user's own, by what they begin with, by their name, then as text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from mmagent.errors import IntakeError
from mmagent.intake.text import is_text

KINDS: Mapping[str, str] = {
    ".txt": "text", ".md": "text",
    ".png": "image", ".jpg": "image", ".jpeg": "image", ".webp": "image", ".bmp": "image", ".tif": "image",
    ".tiff": "image", ".ppm": "image", ".pgm": "image", ".pbm": "image", ".avif": "image",
    ".wav": "audio", ".flac": "audio", ".ogg": "audio", ".opus": "audio", ".mp3": "audio", ".m4a": "audio",
    ".mka": "audio", ".weba": "audio",
    ".mkv": "video", ".mp4": "video", ".mov": "video", ".webm": "video", ".gif": "video", ".avi": "video",
    ".npy": "points", ".ply": "points", ".xyz": "points",
    ".npz": "embedding",
    "text/plain": "text", "text/markdown": "text",
    "image/png": "image", "image/jpeg": "image", "image/webp": "image", "image/avif": "image",
    "audio/wav": "audio", "audio/x-matroska": "audio", "audio/webm": "audio",
    "video/x-matroska": "video", "video/webm": "video", "video/mp4": "video",
    "application/x-npy": "points",
    "application/x-npz": "embedding",
}  # fmt: skip
"""The file endings and MIME types that are ours, each with its modality."""

_SAYING_NOTHING = {".bin", ".dat", ".data", ".part", ".tmp", "application/octet-stream"}
_CONTAINER = re.compile(rb"\x93NUMPY|PK\x03\x04|\x1aE\xdf\xa3")
"""What anybody keeps anything in: NumPy arrays, ZIP archives, Matroska."""

_LONGEST_HEADER = 4096

# Formats whose header is text are told by a whole header: words may well begin with "P2 2 of us" or "ply".
_GAP = rb"(?:\s|#[^\n]*\n)+"
_SIZE = _GAP + rb"\d+" + _GAP + rb"\d+"
_WRITTEN = (
    (rb"P1" + _SIZE + _GAP + rb"[01]|P[2356]" + _SIZE + _GAP + rb"\d+\s", "image"),
    (rb"ply\r?\n(?:(?:comment|obj_info)[^\n]*\n)*format (?:ascii|binary)", "points"),
)
_BINARY = (
    (
        rb"\x89PNG\r\n\x1a\n|\xff\xd8\xff|BM.{4}\0\0\0\0|II\*\0|MM\0\*|RIFF....WEBP|P4" + _SIZE + rb"\s",
        "image",
    ),
    (rb"....ftyp(?:avif|avis|heic|heix|mif1)", "image"),
    (rb"RIFF....WAVE|fLaC|OggS|ID3|\xff[\xe2-\xe5\xf2-\xf5\xfa-\xfd]|FORM....AIF|\.snd", "audio"),
    (rb"....ftypM4[AB]", "audio"),
    (rb"....(?:ftyp|moov|mdat)|\x1aE\xdf\xa3|RIFF....AVI |GIF8[79]a", "video"),
    (rb"\x93NUMPY", "points"),
    (rb"PK\x03\x04.{26}(?:states|mask|space)\.npy", "embedding"),
)


def sniff(data: bytes, name: str = "", kinds: Mapping[str, str] | None = None) -> str:
    """The name of the modality that `data` is a file of; IntakeError if it cannot be told.

    `kinds` maps the endings and MIME types of further modalities to their names. They come first: a modality of
    a user's own may well keep its values in a container that looks like something else. Where a name says that
    it is something else, and nobody has said what, such a container is refused.
    """
    label = _label(name)
    if kinds and label in kinds and label not in KINDS:
        return kinds[label]
    text = is_text(data)
    if text and KINDS.get(label) == "text":
        return "text"
    if label and label not in KINDS and label not in _SAYING_NOTHING and _CONTAINER.match(data):
        raise IntakeError(
            f"{name}: {label} is not registered; import the file that declares its modality, "
            "or open it with the class that reads it"
        )
    head = data[:_LONGEST_HEADER]
    for pattern, modality in _WRITTEN if text else (*_WRITTEN, *_BINARY):
        if re.match(pattern, head, re.DOTALL):
            return _refined(data, modality)
    if label in KINDS:
        return KINDS[label]
    if text:
        return "text"
    raise IntakeError(
        f"{name or 'the bytes given'}: not a kind of file that is known here ({len(data):,} bytes); "
        "convert it to PNG, WAV, MP4 or UTF-8 text, or open it with the class that reads it"
    )


def _label(name: str) -> str:
    """What a name says its bytes are, in lower case: a file's ending, the type of a data URI, or nothing.

    >>> _label("map.DEPTH"), _label("data:application/x-depth"), _label("https://example.org"), _label("take.2")
    ('.depth', 'application/x-depth', '', '')
    """
    if name.startswith("data:"):
        return name[5:].lower()
    path = re.sub(r"^[a-z]+://[^/]*", "", name).replace("\\", "/")
    ending = PurePosixPath(path).suffix.lower()
    return "" if ending[1:].isdigit() else ending


def _refined(data: bytes, modality: str) -> str:
    """Tell apart what shares a container: moving and still pictures, sound alone and video."""
    from mmagent.intake.animation import moves

    if data.startswith((b"GIF8", b"RIFF", b"\x89PNG")) and modality in ("image", "video") and data[8:12] != b"AVI ":
        return "video" if moves(data) else "image"
    if data.startswith(b"\x1aE\xdf\xa3"):
        head = data[:65536]  # the track list comes before the pictures
        return "audio" if b"A_" in head and re.search(rb"V_[A-Z]", head) is None else modality
    return modality
