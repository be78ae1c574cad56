"""The frames that a GIF declares, read off its blocks without decoding any.

GIF89a: https://www.w3.org/Graphics/GIF/spec-gif89a.txt
"""

from __future__ import annotations

from collections.abc import Iterator


def extents(data: bytes) -> Iterator[tuple[int, int]]:
    """How far each frame reaches, (right, bottom) in pixels.

    A frame may reach beyond the canvas that the file begins with; decoders grow the picture then.
    """
    if len(data) < 13:
        return
    place = 13 + _table(data[10])
    while place < len(data):
        kind = data[place]
        if kind == 0x2C and place + 9 < len(data):
            left, top, width, height = (
                int.from_bytes(data[at : at + 2], "little") for at in range(place + 1, place + 9, 2)
            )
            yield left + width, top + height
            place += 11 + _table(data[place + 9])
        elif kind == 0x21:
            place += 2
        else:
            return
        while place < len(data) and data[place]:  # sub-blocks, each led by its length
            place += data[place] + 1
        place += 1


def _table(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0
