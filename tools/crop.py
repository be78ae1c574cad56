"""A part of a picture."""

from __future__ import annotations

from mmagent import Image, tool


@tool(name="crop.v1", kind="converter", cost=0.005, lossy=True)
def crop(image: Image, left: float = 0.0, top: float = 0.0, right: float = 1.0, bottom: float = 1.0) -> Image:
    """Cut a rectangle out of a picture, its sides given as fractions of the picture's own width and height.

    The rectangle is rounded to whole pixels and holds at least one.
    """
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise ValueError(
            f"crop: left < right and top < bottom lie between 0 and 1, not {left}, {top}, {right}, {bottom}"
        )
    x, y = min(round(left * image.width), image.width - 1), min(round(top * image.height), image.height - 1)
    width = max(round(right * image.width) - x, 1)
    height = max(round(bottom * image.height) - y, 1)
    return Image(image.array[y : y + height, x : x + width])
