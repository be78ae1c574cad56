"""Pictures of things, drawn once at every size that scenes and videos need.

Colours are premultiplied by alpha, so that laying one over a picture is a multiplication and a sum.
"""

from __future__ import annotations

import io
import json
from functools import cache
from typing import TYPE_CHECKING, Any

from mmagent.errors import MissingExtra
from mmagent.fetch import fetch
from mmagent.pocket.world.catalogue import catalogue

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

SMALLEST, LARGEST = 8, 44
DRAWN = 128
"""Pixels to a side at which a picture is drawn before it is made small."""


class Sprites:
    """The pictures of all things: `of(name, size)` is `(cover, colour)`.

    `cover` is `255 - alpha`, uint16 `[h, w, 1]`, `colour` uint16 `[h, w, 3]` premultiplied, the longer side `size`
    pixels.
    """

    def __init__(self, drawings: dict[str, Array]) -> None:
        self._drawings = drawings
        self._made: dict[tuple[str, int], tuple[Array, Array]] = {}

    def of(self, name: str, size: int) -> tuple[Array, Array]:
        """The picture of a thing, `size` pixels (SMALLEST to LARGEST) to its longer side."""
        key = name, size
        if key not in self._made:
            self._made[key] = _small(self._drawings[name], size)
        return self._made[key]


@cache
def sprites() -> Sprites:
    """The pictures of the catalogue's things, drawn when they are first asked for."""
    folder = fetch("fluent-emoji-flat")
    icons = json.loads((folder / "icons.json").read_text("utf-8"))["icons"]
    return Sprites({thing.name: _draw(icons[thing.icon]["body"]) for thing in catalogue().things})


def _draw(body: str) -> Array:
    """An icon as RGBA uint8, cut to what is not transparent."""
    import numpy as np
    from PIL import Image as pil

    try:
        import resvg_py
    except ImportError as error:
        raise MissingExtra("resvg_py", "train", "the pictures of the world") from error
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32" width="{DRAWN}" height="{DRAWN}">{body}</svg>'
    picture = pil.open(io.BytesIO(bytes(resvg_py.svg_to_bytes(svg_string=svg, skip_system_fonts=True))))
    return np.asarray(picture.convert("RGBA").crop(picture.getbbox()))


def _small(drawing: Array, size: int) -> tuple[Array, Array]:
    import numpy as np
    from PIL import Image as pil

    picture = pil.fromarray(drawing)
    scale = size / max(picture.size)
    width, height = (max(1, round(side * scale)) for side in picture.size)
    small = np.asarray(picture.convert("RGBa").resize((width, height), pil.Resampling.LANCZOS)).astype(np.uint16)
    alpha = small[..., 3:]
    return 255 - alpha, np.minimum(small[..., :3], alpha)  # resampling overshoots, and a sum must not pass 255


def lay(canvas: Array, sprite: tuple[Array, Array], left: int, top: int) -> None:
    """Lay a sprite over a canvas uint8 `[H, W, 3]`, in place; what lies outside is cut off."""
    cover, colour = sprite
    height, width = canvas.shape[:2]
    y0, x0 = max(top, 0), max(left, 0)
    y1, x1 = min(top + cover.shape[0], height), min(left + cover.shape[1], width)
    if y0 >= y1 or x0 >= x1:
        return
    inside = slice(y0 - top, y1 - top), slice(x0 - left, x1 - left)
    below = canvas[y0:y1, x0:x1]
    below[...] = (below * cover[inside] + 127) // 255 + colour[inside]
