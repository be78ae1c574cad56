"""Arrays as `.npy` files, read without trusting their header; for the array formats here and for users' codecs."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any

from mmagent.errors import IntakeError
from mmagent.intake.limits import DEFAULT, Limits
from mmagent.intake.source import NAMELESS

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]


def encode(array: Array) -> bytes:
    """The array as a `.npy` file, C-ordered."""
    import numpy as np

    file = io.BytesIO()
    np.save(file, np.ascontiguousarray(array) if array.ndim else array, allow_pickle=False)
    return file.getvalue()


def decode(data: bytes, name: str = "", limits: Limits | None = None) -> Array:
    """The array that a `.npy` file holds, a read-only view of `data`.

    IntakeError if the header cannot be read, promises more or less than the file holds, or names Python objects.
    """
    import numpy as np

    name, bounds = name or NAMELESS, limits or DEFAULT
    file = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(file)
        readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        shape, columns_first, dtype = readers[version](file)
    except MemoryError:
        raise
    except Exception as error:  # numpy's header parser lets through whatever its literal parser raises
        raise IntakeError(f"{name}: not a readable .npy file; write it with numpy.save") from error
    if dtype.hasobject:
        raise IntakeError(f"{name}: holds Python objects, which are never loaded; save it as numbers")
    count, start = math.prod(shape), file.tell()
    bounds.check("decoded_bytes", count * dtype.itemsize, name)
    if min(shape, default=0) < 0 or count * dtype.itemsize != len(data) - start or not dtype.itemsize:
        raise IntakeError(
            f"{name}: the header promises {count:,} values of {dtype}, the file holds {len(data) - start:,} bytes; "
            "it is damaged or truncated, write it again with numpy.save"
        )
    flat = np.frombuffer(data, dtype=dtype, count=count, offset=start)
    return flat.reshape(shape, order="F" if columns_first else "C")
