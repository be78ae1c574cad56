"""A modality of one's own, whole: depth maps with their file format, and the tools that make and read them.

The camera stands at the origin and looks along -z; a pixel's distance is measured along that line.
"""

from __future__ import annotations

from typing import Annotated, Any, Self

import numpy as np

from mmagent import Constraint, Embedding, Image, Limits, Media, Points, Tool, tool
from mmagent.errors import MediaError
from mmagent.intake import npy

GRID = 8
SPACE = "depth.planes"
Array = np.ndarray[Any, np.dtype[Any]]


class Depth(Media, modality="depth", suffix=".depth", mime="application/x-depth"):
    """Distances from the camera: float32 metres `[H, W]`, nan where nothing was hit."""

    __slots__ = ()

    def __init__(self, metres: object) -> None:
        values = np.asarray(metres, dtype="float32")
        if values.ndim != 2 or not values.size:
            raise MediaError(f"a Depth is [H, W], not {values.shape}; give one distance a pixel")
        super().__init__({"metres": values})

    @property
    def array(self) -> Array:
        """The distances `[H, W]`, read-only."""
        return self.view("metres")  # a new view each time: reshaping one in place leaves the value alone

    def describe(self) -> dict[str, str | int | float | bool | None]:
        height, width = self.array.shape
        hit = self.array[np.isfinite(self.array)]
        return {
            "width": width,
            "height": height,
            "nearest": float(hit.min()) if hit.size else None,
            "farthest": float(hit.max()) if hit.size else None,
        }

    def encode(self, suffix: str | None = None) -> bytes:
        return npy.encode(self.array)

    @classmethod
    def decode(cls, data: bytes, name: str = "", limits: Limits | None = None) -> Self:
        return cls(npy.decode(data, name, limits))

    @classmethod
    def sample(cls, variant: int = 0) -> Self:
        """A slope, for `mmagent tools check`."""
        return cls(np.linspace(1, 2 + variant, 256).reshape(16, 16))

    def preview(self) -> Image:
        """Near is warm, far is cold, nothing is black."""
        hit = np.isfinite(self.array)
        near, far = (self.array[hit].min(), self.array[hit].max()) if hit.any() else (0.0, 1.0)
        share = ((np.nan_to_num(self.array, nan=far) - near) / max(far - near, 1e-6))[..., None]  # [H, W, 1]
        colours = np.array([255, 180, 60]) * (1 - share) + np.array([20, 30, 140]) * share
        return Image((colours * hit[..., None]).astype("uint8"))


@tool(cost=0.01)
def scan_depth(points: Points, side: int = 64, distance: float = 3.0) -> Depth:
    """Look at a point cloud from the front: each pixel holds the distance of the nearest point in it."""
    cloud = points.array[:, :3]
    far = distance - cloud[:, 2]  # the cloud is about the origin, the camera `distance` before it
    seen = far > 0.1
    at = np.floor((cloud[seen, :2] / far[seen, None] * distance / 2.4 + 0.5) * side).astype(int)  # [N, 2]
    inside = ((at >= 0) & (at < side)).all(axis=1)
    made = np.full((side, side), np.inf, "float32")
    np.minimum.at(made, (side - 1 - at[inside, 1], at[inside, 0]), far[seen][inside].astype("float32"))
    return Depth(np.where(np.isfinite(made), made, np.nan))


@tool(cost=0.01)
def depth_cloud(depth: Depth, distance: float = 3.0) -> Points:
    """Turn a depth map back into the points that it shows, about the origin."""
    rows, columns = np.nonzero(np.isfinite(depth.array))
    far = depth.array[rows, columns]
    height, width = depth.array.shape
    x = ((columns + 0.5) / width - 0.5) * 2.4 * far / distance
    y = (0.5 - (rows + 0.5) / height) * 2.4 * far / distance
    return Points(np.stack([x, y, distance - far], axis=1))


@tool(cost=0.01)
def depth_picture(depth: Depth) -> Image:
    """Show a depth map in colours: near is warm, far is cold."""
    return depth.preview()


Planes = Annotated[Embedding, Constraint(tokens=GRID * GRID, width=4, space=SPACE)]


class DepthEncoder(Tool, name="depth-encoder.v1", cost=0.01):
    """Encode a depth map as 8 x 8 planes: distance, slope to the right, slope downwards, share of pixels hit."""

    def run(self, depth: Depth) -> Planes:
        planes = np.zeros((GRID * GRID, 4), "float32")
        for number, (patch, x, y) in enumerate(_patches(*depth.array.shape)):
            values = depth.array[patch]
            hit = np.isfinite(values)
            planes[number, 3] = hit.mean()
            if hit.any():
                sides = np.stack([np.ones(hit.sum()), x[hit], y[hit]], axis=1)
                planes[number, :3] = np.linalg.lstsq(sides, values[hit], rcond=None)[0]
        return Embedding(planes, SPACE)


class DepthDecoder(Tool, name="depth-decoder.v1", kind="generator", cost=0.01):
    """Make a depth map of the planes that an encoder saw or a model thought of; patches hit less than half are empty."""

    def run(self, planes: Planes, side: int = 64) -> Depth:
        made = np.full((side, side), np.nan, "float32")
        for number, (patch, x, y) in enumerate(_patches(side, side)):
            distance, right, down, share = planes.array[number]
            if share >= 0.5:
                made[patch] = distance + right * x + down * y
        return Depth(made)


def _patches(height: int, width: int) -> list[tuple[tuple[slice, slice], Array, Array]]:
    """The grid's patches, with the places of their pixels from -1 to 1 across each."""
    found = []
    for row in range(GRID):
        for column in range(GRID):
            rows = slice(row * height // GRID, (row + 1) * height // GRID)
            columns = slice(column * width // GRID, (column + 1) * width // GRID)
            y, x = np.meshgrid(
                np.linspace(-1, 1, rows.stop - rows.start),
                np.linspace(-1, 1, columns.stop - columns.start),
                indexing="ij",
            )
            found.append(((rows, columns), x, y))
    return found
