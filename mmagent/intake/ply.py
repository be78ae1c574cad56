"""The Polygon File Format, vertices alone: ASCII and binary, scalar properties of any type.

Format: http://paulbourke.net/dataformats/ply/
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from mmagent.errors import IntakeError
from mmagent.intake.limits import Limits

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

_TYPES = {
    "char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4", "float": "f4", "double": "f8",
    "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4", "float32": "f4",
    "float64": "f8",
}  # fmt: skip
_ORDERS = {"binary_little_endian": "<", "binary_big_endian": ">", "ascii": ""}
_LONGEST_HEADER = 65536


def decode(data: bytes, name: str, limits: Limits) -> Array:
    """The vertices `[N, 3 + K]`: x, y, z, then the other properties in the file's order."""
    import numpy as np

    end = re.search(rb"\nend_header\r?\n", data[:_LONGEST_HEADER])
    if end is None:
        raise IntakeError(f"{name}: the PLY header does not end; the file is damaged, export it again")
    order, count, columns = _header(data[: end.start()].decode("latin-1"), name)
    limits.check("points", count, name)
    limits.check("decoded_bytes", count * len(columns) * 8, name)
    body = data[end.end() :]
    names = [column for column, _ in columns]
    if order == "":
        from mmagent.intake.points import table

        array = table(body, name, limits, rows=count)
        whole = array.shape == (count, len(columns))
    else:
        record = np.dtype([(column, order + kind) for column, kind in columns])
        whole = count * record.itemsize <= len(body)
        if whole:
            rows = np.frombuffer(body, record, count)
            array = np.stack([rows[column].astype("float32") for column in names], axis=1)
    if not whole:
        raise IntakeError(f"{name}: holds fewer than the {count:,} vertices it promises; it is truncated")
    first = [names.index(axis) for axis in "xyz"]
    return array[:, first + [index for index in range(len(names)) if index not in first]]


def _header(text: str, name: str) -> tuple[str, int, list[tuple[str, str]]]:
    """Byte order, number of vertices and (name, type) of their properties.

    `element vertex 8`, `property float x` … gives `("", 8, [("x", "f4"), …])` for an ASCII file.
    """
    order, count, columns, elements = "?", 0, list[tuple[str, str]](), list[str]()
    for line in text.splitlines():
        match line.split():
            case ["format", kind, _]:
                order = _ORDERS.get(kind, "?")
            case ["element", element, number] if number.isascii() and number.isdigit():
                elements.append(element)
                count = int(number[:18]) if element == "vertex" else count
            case ["property", kind, column] if elements == ["vertex"] and kind in _TYPES:
                columns.append((column, _TYPES[kind]))
            case ["property", *_] if elements == ["vertex"]:
                raise IntakeError(f"{name}: a vertex property is no plain number; export the points alone")
    names = [column for column, _ in columns]
    if order == "?" or elements[:1] != ["vertex"] or not {"x", "y", "z"} <= set(names) or len(set(names)) < len(names):
        raise IntakeError(f"{name}: vertices with x, y and z must come first in a PLY file; export it again")
    return order, count, columns


def encode(array: Array) -> bytes:
    """The points as a binary PLY of floats, features called f0, f1 …"""
    names = ["x", "y", "z", *(f"f{index}" for index in range(array.shape[1] - 3))]
    lines = ["ply", "format binary_little_endian 1.0", f"element vertex {len(array)}"]
    lines += [f"property float {column}" for column in names]
    return "\n".join([*lines, "end_header\n"]).encode() + array.astype("<f4").tobytes()
