"""Pictures scaled, cut and filled up to one size as OpenCLIP's evaluation transforms do it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import PIL.Image

BICUBIC, BILINEAR = 3, 2  # PIL's numbers


@dataclass(frozen=True, slots=True)
class Fitting:
    """How a picture becomes one of `height` × `width`.

    `mode`: `shortest` covers that box and is cut in the middle, `longest` lies within it and is filled up around with
    `fill`, `squash` loses its shape. Source: open_clip 3.3, `transform.py`.
    """

    height: int
    width: int
    mode: str = "shortest"
    resample: int = BICUBIC
    fill: int = 0

    def __call__(self, picture: PIL.Image.Image) -> PIL.Image.Image:
        """The picture in that size."""
        import PIL.Image

        scaled = picture.resize(self._scaled(picture.width, picture.height), self.resample)
        if scaled.size == (self.width, self.height):
            return scaled
        box = PIL.Image.new(picture.mode, (self.width, self.height), (self.fill,) * len(picture.getbands()))
        box.paste(scaled, (_offset(scaled.width, self.width), _offset(scaled.height, self.height)))
        return box

    def _scaled(self, width: int, height: int) -> tuple[int, int]:
        if self.mode == "squash":
            return self.width, self.height
        if self.mode == "shortest" and self.width == self.height:  # where the longer side is rounded down
            short = min(width, height)
            return self.width * width // short, self.height * height // short
        ratios = width / self.width, height / self.height
        ratio = max(ratios) if self.mode == "longest" else min(ratios)
        return max(1, round(width / ratio)), max(1, round(height / ratio))


def _offset(size: int, wanted: int) -> int:
    """Where a side begins within the one that is wanted: before it, if it is cut."""
    return (wanted - size) // 2 if size < wanted else -round((size - wanted) / 2)


class FittingProcessor:
    """An image processor of transformers that is given pictures in their final size."""

    def __init__(self, fitting: Fitting, inner: Any) -> None:
        self.fitting, self._inner = fitting, inner
        # As those of transformers tell it: the shorter side is scaled, whatever the longer one becomes.
        self.size: Mapping[str, int] = {"shortest_edge": fitting.height} if fitting.mode == "shortest" else {}

    def __call__(self, images: PIL.Image.Image, return_tensors: str) -> Any:
        return self._inner(images=self.fitting(images), return_tensors=return_tensors)
