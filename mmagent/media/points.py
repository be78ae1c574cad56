"""Point clouds as media."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from mmagent.media.image import Image
from mmagent.media.value import Media, Scalar

if TYPE_CHECKING:
    import numpy as np

    from mmagent.intake import Limits

    Array = np.ndarray[Any, np.dtype[Any]]


class Points(Media, modality="points", suffix=".npy", mime="application/x-npy"):
    """A point cloud: float32 `[N, 3 + K]`, x y z and K further features a point."""

    __slots__ = ()

    suffixes = {".npy": True, ".ply": True, ".xyz": True}

    def __init__(self, source: object, *, limits: Limits | None = None) -> None:
        from mmagent.intake import points

        super().__init__({"points": points.points(source, limits)})

    @property
    def array(self) -> Array:
        """The points `[N, 3 + K]`, read-only."""
        return self.view("points")

    def describe(self) -> dict[str, Scalar]:
        return {"points": int(self.array.shape[0]), "features": int(self.array.shape[1])}

    def preview(self) -> Image:
        """The cloud from above at a slant."""
        from mmagent.intake import points

        return Image(points.picture(self.array))

    def encode(self, suffix: str | None = None) -> bytes:
        from mmagent.intake import points

        return points.encode(self.array, suffix or self.suffix)

    @classmethod
    def decode(cls, data: bytes, name: str = "", limits: Limits | None = None) -> Self:
        from mmagent.intake import points

        return cls(points.decode(data, name, limits), limits=limits)
