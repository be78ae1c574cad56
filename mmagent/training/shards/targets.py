"""Frozen targets: what a generator's own text encoder makes of captions, so that an epoch touches no generator."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmagent.card import Card, Scalar
from mmagent.engine import keys
from mmagent.errors import ModelError
from mmagent.media import Embedding, Text
from mmagent.training.shards.form import digest_of
from mmagent.training.shards.packed import Kept, Packed, arrays_of

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

Condition = Callable[[Sequence[str]], list[Embedding]]
"""What is asked of a generator that can be trained towards: `Trainable.condition`."""


class Targets:
    """The embeddings that a generator would be given for captions, kept in a folder of its own below `folder`.

    `card` and `settings` are the generator's: other weights or settings are another folder. `condition` gives what
    makes the targets, and is called once, when a caption is missing for the first time; `null` makes the target of
    no caption.
    """

    def __init__(
        self,
        card: Card,
        settings: Mapping[str, Scalar],
        condition: Callable[[], Condition],
        folder: str | Path,
        *,
        dtype: str = "float32",
        part: str = "0",
        every: int = 64,
        null: Callable[[], Embedding] | None = None,
    ) -> None:
        if dtype not in ("float16", "float32"):
            raise ModelError(f"targets are kept as float16 or float32, not {dtype!r}")
        self._prefix, self._dtype = keys.prefix(card, settings, "condition"), dtype
        made = {
            "condition": card.name,
            "weights": card.weights,
            "settings": dict(sorted(settings.items())),
            "dtype": dtype,
        }
        self.folder = Path(folder) / f"{card.short}-{digest_of(made)[:16]}"
        self._packed = Packed(self.folder, made, part=part, every=every)
        self._begin, self._null = condition, null
        self._condition: Condition | None = None

    def __len__(self) -> int:
        return len(self._packed)

    def of(self, caption: str) -> Array:
        """The target `[L, D]` of a caption, read-only."""
        return self.both(caption)[0]

    def both(self, caption: str) -> tuple[Array, Array]:
        """The target `[L, D]` of a caption, and which of its states count, bool `[L]`."""
        import numpy as np

        key = keys.recipe(self._prefix, None, [("caption", Text(caption))])
        arrays = self._packed.of(key, lambda: self._make(caption)).arrays
        return arrays["target"], arrays.get("target.mask", np.ones(len(arrays["target"]), bool))

    def null(self) -> tuple[Array, Array]:
        """What the generator is given where there is no prompt, and which of its states count; ModelError if it was
        not said how that is had."""
        import numpy as np

        make = self._null
        if make is None:
            raise ModelError(f"{self.folder} has no null conditioning; give Targets its generator's null=")
        key = keys.recipe(self._prefix, None, [("null", Text(""))])
        arrays = self._packed.of(key, lambda: arrays_of("target", make(), self._dtype)).arrays
        return arrays["target"], arrays.get("target.mask", np.ones(len(arrays["target"]), bool))

    def pack(self, captions: Sequence[str], batch: int = 32) -> int:
        """Make what is missing, `batch` captions at a time; how many were."""
        by_key = {keys.recipe(self._prefix, None, [("caption", Text(text))]): text for text in captions}
        missing = [(key, text) for key, text in by_key.items() if key not in self._packed]
        for at in range(0, len(missing), batch):
            some = missing[at : at + batch]
            for (key, _), made in zip(some, self._make_all([text for _, text in some]), strict=True):
                self._packed.of(key, lambda made=made: made)  # type: ignore[misc]  # mypy infers no lambda's default
        self.flush()
        return len(missing)

    def flush(self) -> None:
        """Bring what was made to the disk."""
        self._packed.flush()

    def close(self) -> None:
        """Flush, and let other processes write the part."""
        self._packed.close()

    def _make(self, caption: str) -> Kept:
        return self._make_all([caption])[0]

    def _make_all(self, captions: Sequence[str]) -> list[Kept]:
        condition = self._condition = self._condition or self._begin()
        return [arrays_of("target", one, self._dtype) for one in condition(captions)]
