"""Embeddings: the states of an encoder or projector, as media."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from mmagent.errors import MediaError
from mmagent.media.value import Media, Scalar

if TYPE_CHECKING:
    import numpy as np

    from mmagent.intake import Limits

    Array = np.ndarray[Any, np.dtype[Any]]


class Embedding(Media, modality="embedding", suffix=".npz", mime="application/x-npz"):
    """States in a named space: float32 `[L, D]` with a mask `[L]` (True where a state counts).

    Equal sizes never make two spaces fit. One made by a tool carries the recipe key of the call as its digest,
    so that it need not be hashed; `digest=` sets it.
    """

    __slots__ = ()

    def __init__(self, states: object, space: str, mask: object | None = None, *, digest: str = "") -> None:
        import numpy as np

        from mmagent.intake.embedding import is_space

        if not is_space(space):
            raise MediaError(f"the space of an Embedding is a short name like 'sd15.text', not {space!r:.80}")
        try:
            values = np.asarray(states, dtype="float32")
        except (TypeError, ValueError):
            raise MediaError(f"states of {type(states).__name__} are no float array; give numbers [L, D]") from None
        if values.ndim != 2:
            raise MediaError(f"an Embedding is [L, D]; got shape {values.shape}")
        kept = np.ones(len(values), dtype=bool) if mask is None else np.asarray(mask, dtype=bool)
        if kept.shape != (len(values),):
            raise MediaError(f"the mask of {len(values)} states is [{len(values)}]; got shape {kept.shape}")
        super().__init__({"states": values, "mask": kept}, {"space": space})
        object.__setattr__(self, "_digest", digest)

    @property
    def array(self) -> Array:
        """The states `[L, D]`, read-only."""
        return self.view("states")

    @property
    def mask(self) -> Array:
        """Which states count, bool `[L]`."""
        return self.view("mask")

    @property
    def space(self) -> str:
        """The space the states live in, like `sd15.text`."""
        return str(self._meta["space"])

    def describe(self) -> dict[str, Scalar]:
        return {"tokens": int(self.array.shape[0]), "width": int(self.array.shape[1]), "space": self.space}

    def encode(self, suffix: str | None = None) -> bytes:
        from mmagent.intake import embedding

        return embedding.encode(self.array, self.mask, self.space)

    @classmethod
    def decode(cls, data: bytes, name: str = "", limits: Limits | None = None) -> Self:
        from mmagent.intake import embedding

        states, mask, space = embedding.decode(data, name, limits)
        return cls(states, space, mask)
