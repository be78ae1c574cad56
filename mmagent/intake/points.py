"""Point clouds: files and arrays to float32 `[N, 3 + K]`, and back.

Formats: `.npy`; `.ply`, whose vertices alone are kept (faces are dropped); `.xyz`, a line of numbers a point.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from mmagent.errors import IntakeError, MediaError
from mmagent.intake import npy, ply
from mmagent.intake.limits import DEFAULT, Limits
from mmagent.intake.source import NAMELESS, read

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]


def points(source: object, limits: Limits | None = None) -> Array:
    """The points `[N, 3 + K]` of a path, bytes, data URI, or array of real numbers."""
    import numpy as np

    if isinstance(source, np.ndarray) or hasattr(source, "__array__"):
        return _checked(np.asarray(source))
    found = read(source, limits=limits)
    return decode(found.data, found.name, limits)


def _checked(array: Array) -> Array:
    import numpy as np

    if array.dtype.kind not in "fiu":
        raise MediaError(f"Points are real numbers, not {array.dtype}; give a float32 array")
    if array.ndim != 2 or array.shape[1] < 3 or not len(array):
        raise MediaError(f"Points are [N, 3 + K], at least one of x, y, z each, not {array.shape}")
    with np.errstate(over="ignore"):  # a float64 too large becomes infinite, and is told so below
        array = array.astype("float32", copy=False)
    if not np.isfinite(array).all():
        raise MediaError("points are NaN or infinite; drop them: array[numpy.isfinite(array).all(axis=1)]")
    return array


def decode(data: bytes, name: str = "", limits: Limits | None = None) -> Array:
    """The points `[N, 3 + K]` of a `.npy`, `.ply` or `.xyz` file, told apart by how it begins."""
    name, bounds = name or NAMELESS, limits or DEFAULT
    bounds.check("file_bytes", len(data), name)
    if data.startswith(b"\x93NUMPY"):
        array = npy.decode(data, name, bounds)
    elif data.startswith((b"ply\n", b"ply\r\n")):
        array = ply.decode(data, name, bounds)
    else:
        array = table(data, name, bounds)
    try:
        if array.ndim:
            bounds.check("points", len(array), name)
        return _checked(array)
    except MediaError as error:
        raise IntakeError(f"{name}: {error}") from None


def table(data: bytes, name: str, limits: Limits, rows: int | None = None) -> Array:
    """Numbers in text, a line a point, apart by spaces: float32 `[N, C]`; lines that begin with `#` are skipped."""
    import numpy as np

    # Two bytes of text at least make four bytes of array.
    limits.check("decoded_bytes", len(data) * 2, name)
    limits.check("points", data.count(b"\n"), name)
    try:
        text = data.decode("ascii")
        if not text.split(None, 1):
            raise ValueError
        array = np.loadtxt(io.StringIO(text), dtype="float32", ndmin=2, max_rows=rows)
    except (ValueError, UserWarning):  # numpy's messages quote the file
        raise IntakeError(f"{name}: not a table of numbers, a line a point; save it as .npy or .ply") from None
    return array


def encode(array: Array, suffix: str) -> bytes:
    """The points as a file; nine digits tell every float32 apart, so that `.xyz` is exact too."""
    import numpy as np

    suffix = suffix.lower()
    if suffix == ".npy":
        return npy.encode(array)
    if suffix == ".ply":
        return ply.encode(array)
    if suffix == ".xyz":
        file = io.BytesIO()
        np.savetxt(file, array, fmt="%.9g")
        return file.getvalue()
    raise MediaError(f"Points cannot be written as {suffix!r}; use .npy, .ply or .xyz")


def picture(array: Array, side: int = 320) -> Array:
    """The cloud seen from above at a slant, near points bright: uint8 RGB `[side, side, 3]`."""
    import numpy as np

    xyz = array[:: max(len(array) // 200_000, 1), :3].astype("float64")
    low, high = xyz.min(axis=0), xyz.max(axis=0)
    xyz = (xyz - (low + high) / 2) / max(float((high - low).max()), 1e-30)  # within a unit cube
    right, up = np.array([0.8, 0.6, 0.0]), np.array([-0.3, 0.4, 0.866])
    depth = xyz @ np.cross(right, up)
    order = np.argsort(depth)  # far ones first, so that near ones cover them
    span = max(float(np.ptp(depth)), 1e-30)
    shade = ((depth - depth.min()) / span)[order, None]
    colours = (np.array([40, 60, 120]) * (1 - shade) + np.array([250, 210, 90]) * shade).astype("uint8")
    columns = ((xyz @ right)[order] * 0.6 + 0.5) * (side - 2)
    rows = (0.5 - (xyz @ up)[order] * 0.6) * (side - 2)
    canvas = np.full((side, side, 3), 16, "uint8")
    for down in (0, 1):
        for along in (0, 1):
            y, x = (np.clip(axis.astype(int) + shift, 0, side - 1) for axis, shift in ((rows, down), (columns, along)))
            canvas[y, x] = colours
    return canvas
