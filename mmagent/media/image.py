"""Pictures as media."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from mmagent.media.value import Media, Scalar

if TYPE_CHECKING:
    import numpy as np
    import PIL.Image

    from mmagent.intake import Limits

    Array = np.ndarray[Any, np.dtype[Any]]


class Image(Media, modality="image", suffix=".png", mime="image/png"):
    """A picture: uint8 or uint16 `[H, W, C]`, C = 1 (grey), 3 (RGB) or 4 (RGBA), upright.

    Made from a path, bytes, data URI, an array (`[H, W]` or `[H, W, C]`; floats are refused) or a PIL image.
    """

    __slots__ = ()

    suffixes = {".png": True, ".webp": False, ".jpg": False, ".jpeg": False}

    def __init__(self, source: object, *, limits: Limits | None = None) -> None:
        from mmagent.intake import image

        super().__init__({"pixels": image.pixels(source, limits)})

    @property
    def array(self) -> Array:
        """The pixels `[H, W, C]`, read-only."""
        return self.view("pixels")

    @property
    def height(self) -> int:
        return int(self.array.shape[0])

    @property
    def width(self) -> int:
        return int(self.array.shape[1])

    @property
    def channels(self) -> int:
        return int(self.array.shape[2])

    def describe(self) -> dict[str, Scalar]:
        return {"width": self.width, "height": self.height, "channels": self.channels, "bits": self.array.itemsize * 8}

    def pil(self, mode: str = "RGB") -> PIL.Image.Image:
        """The picture as a PIL image of that mode; 16 bits are scaled to 8, alpha is laid on white for RGB and L."""
        from mmagent.intake import image

        return image.to_pil(self.array, mode)

    def rgb(self) -> Array:
        """The picture as uint8 RGB `[H, W, 3]`; not copied where it is that."""
        import numpy as np

        if self.channels == 3 and self.array.itemsize == 1:
            return self.array
        return np.asarray(self.pil("RGB"))

    def preview(self) -> Image:
        return self

    def encode(self, suffix: str | None = None) -> bytes:
        from mmagent.intake import image

        return image.encode(self.array, suffix or self.suffix)

    @classmethod
    def decode(cls, data: bytes, name: str = "", limits: Limits | None = None) -> Self:
        from mmagent.intake import image

        return cls(image.decode(data, name, limits), limits=limits)
