"""Arrays that nothing can change: the content of every medium but text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmagent.errors import MediaError

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]


def frozen(array: object, dtype: str | None = None) -> Array:
    """A C-ordered copy of `array` that nothing can make writable again; of an array made so before, a view."""
    import numpy as np

    values = np.asarray(array, dtype=dtype)
    if values.dtype.hasobject:
        raise MediaError("media hold numbers, not Python objects; give an array of numbers")
    base: Any = values
    writable = values.flags.writeable  # what numpy unpickles is, though it lies over `bytes`
    while isinstance(base.base, np.ndarray):
        base = base.base
        writable = writable or base.flags.writeable
    little = values.dtype.newbyteorder("<")
    if isinstance(base.base, bytes) and not writable and values.flags.c_contiguous and values.dtype == little:
        return values.view()  # whoever gave it could still set the shape of their own
    # Only an array over `bytes` refuses to be made writable: numpy would let its own memory be.
    return np.frombuffer(values.astype(little, copy=False).tobytes(), dtype=little).reshape(values.shape)
