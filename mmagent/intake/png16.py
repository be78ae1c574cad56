"""16-bit colour in PNG, which Pillow narrows to 8 bits on reading and cannot write.

PNG: https://www.w3.org/TR/png-3/
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import PIL.ImageFile

    Array = np.ndarray[Any, np.dtype[Any]]

_COLOUR_TYPES = {1: 0, 3: 2, 4: 6}


def encode(array: Array) -> bytes:
    """A PNG of uint16 `[H, W, C]`, C = 1, 3 or 4; each row is stored as its difference from the one above."""
    import numpy as np

    height, width, channels = array.shape
    rows = array.astype(">u2").view(np.uint8).reshape(height, -1)  # [H, W * C * 2]
    filtered = np.empty((height, rows.shape[1] + 1), np.uint8)
    filtered[:, 0] = 2  # the filter "Up"
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    header = struct.pack(">IIBBBBB", width, height, 16, _COLOUR_TYPES[channels], 0, 0, 0)
    body = zlib.compress(filtered.tobytes(), 6)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def is_wide(picture: PIL.ImageFile.ImageFile) -> bool:
    """Whether an opened picture has 16-bit colour (or grey with alpha) that Pillow would narrow."""
    mode = str(picture.tile[0][3]) if picture.tile else ""
    return picture.mode in ("RGB", "RGBA") and any(f";16{order}" in mode for order in "LBN")


def decode(high: PIL.ImageFile.ImageFile, low: PIL.ImageFile.ImageFile) -> Array:
    """The pixels, uint16 `[H, W, C]`, of one 16-bit PNG opened twice and not yet loaded.

    Pillow's unpacker `RGB;16B` keeps the first byte of each sample and `RGB;16L` the second, so that the two
    together lose nothing. Grey with alpha is four bytes a pixel: read as plain RGBA, none is touched.
    """
    import numpy as np

    if "LA;16B" in str(high.tile[0][3]):
        _unpack(high, "RGBA")
        pairs = np.asarray(high).astype(np.uint16)  # [H, W, 4]: grey, grey, alpha, alpha
        grey, alpha = (pairs[..., i] << 8 | pairs[..., i + 1] for i in (0, 2))
        return np.stack([grey, grey, grey, alpha], axis=-1)
    _unpack(high, f"{high.mode};16B")
    _unpack(low, f"{low.mode};16L")
    wide: Array = np.asarray(high).astype(np.uint16) << 8 | np.asarray(low)
    return wide


def _unpack(picture: PIL.ImageFile.ImageFile, raw_mode: str) -> None:
    picture.tile = [tile._replace(args=raw_mode) for tile in picture.tile]
    picture.load()
