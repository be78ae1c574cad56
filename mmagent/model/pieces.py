"""What a prompt is made of: ids, and media that an encoder has looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A medium at its place in a prompt, as its encoder gives it: `states` `[L, D_in]`, float16 or float32, maybe a
    read-only memory map, and `mask` `[L]`, True where a state counts (all of them without one)."""

    modality: str
    states: Array
    mask: Array | None = None


Piece = int | Seen
"""An id (of a token, a control or a signal), or a medium."""
