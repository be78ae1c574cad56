"""A modality of your own: depth maps, saved and opened like any other media, and a tool that makes them.

Run it with `python examples/define_modality.py`; it writes `tilted.depth` into a temporary folder.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, Self

import numpy as np

from mmagent import Image, Limits, Media, tool
from mmagent.errors import MediaError
from mmagent.intake import npy


class Depth(Media, modality="depth", suffix=".depth", mime="application/x-depth"):
    """Distances from the camera: float32 metres `[H, W]`."""

    __slots__ = ()

    def __init__(self, metres: object) -> None:
        values = np.asarray(metres, dtype="float32")
        if values.ndim != 2:
            raise MediaError(f"a Depth is [H, W], not {values.shape}; give one distance a pixel")
        super().__init__({"metres": values})

    @property
    def array(self) -> np.ndarray[Any, np.dtype[Any]]:
        """The distances `[H, W]`, read-only."""
        return self.view("metres")  # a new view each time: reshaping one in place leaves the value alone

    def describe(self) -> dict[str, str | int | float | bool | None]:
        height, width = self.array.shape
        return {
            "width": width,
            "height": height,
            "nearest": float(self.array.min()),
            "farthest": float(self.array.max()),
        }

    def encode(self, suffix: str | None = None) -> bytes:
        return npy.encode(self.array)

    @classmethod
    def decode(cls, data: bytes, name: str = "", limits: Limits | None = None) -> Self:
        return cls(npy.decode(data, name, limits))

    def preview(self) -> Image:
        """Near is warm, far is cold."""
        span = max(float(np.ptp(self.array)), 1e-6)
        far = ((self.array - self.array.min()) / span)[..., None]  # [H, W, 1]
        return Image((np.array([255, 180, 60]) * (1 - far) + np.array([20, 30, 140]) * far).astype("uint8"))


@tool
def tilt(image: Image, nearest: float = 1.0, farthest: float = 4.0) -> Depth:
    """Guess that what is low in a picture is near, as in a landscape."""
    rows = np.linspace(farthest, nearest, image.height)[:, None]
    return Depth(np.broadcast_to(rows, (image.height, image.width)))


def main() -> None:
    depth = tilt(Image(np.zeros((48, 64, 3), "uint8")))
    with tempfile.TemporaryDirectory() as folder:
        path = depth.save(Path(folder) / "tilted")
        again = Media.open(path)
    print(f"{tilt.card.name}: {tilt.card.inputs[0]} -> {tilt.card.outputs[0]}")
    print(f"saved as {path.name} and opened as {again!r}")
    print(f"the same value: {again == depth}; it shows itself as {again.preview()!r}")


if __name__ == "__main__":
    main()
