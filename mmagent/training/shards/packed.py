"""Arrays that are made once for each key and kept: those of a reader, and of a writer from the first that is missing."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mmagent.errors import ModelError
from mmagent.media import Embedding
from mmagent.training.shards import form
from mmagent.training.shards.reader import Reader
from mmagent.training.shards.writer import Writer

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]


class Kept(NamedTuple):
    """The arrays of a key by kind, and the facts beside them."""

    arrays: Mapping[str, Array]
    facts: Mapping[str, str]


class Packed:
    """What `made` tells how to make, in a folder. Safe for threads.

    Nothing is written, and no part is held, before something is missing.
    """

    def __init__(self, folder: str | Path, made: Mapping[str, Any], *, part: str = "0", every: int = 64) -> None:
        self.folder, self.made, self.part, self.every = Path(folder), dict(made), part, every
        self._reader = Reader(folder, made)
        self._writer: Writer | None = None
        self._process = 0
        self._waiting: dict[str, tuple[Kept, form.Entry]] = {}
        self._lock = threading.RLock()

    def __contains__(self, key: str) -> bool:
        return key in self._reader or key in self._waiting

    def __len__(self) -> int:
        return len(self._reader) + len(self._waiting)

    def get(self, key: str) -> Kept | None:
        """What is kept under the key, or None."""
        if key in self._reader:
            return Kept(self._reader[key], self._reader.facts(key))
        with self._lock:
            found = self._waiting.get(key)
            if found is not None:
                return found[0]
            return Kept(self._reader[key], self._reader.facts(key)) if key in self._reader else None

    def of(self, key: str, make: Callable[[], Kept]) -> Kept:
        """What is kept under the key, made and put now if it is not there."""
        found = self.get(key)
        if found is not None:
            return found
        with self._lock:
            found = self.get(key)
            if found is not None:
                return found
            if self._writer is not None and self._process != os.getpid():
                # The lock of the part, and what is buffered for it, are the parent's too.
                raise ModelError(
                    f"{self.folder} is packed by the process that this one was forked from, and a record is missing; "
                    "pack everything before workers begin, or give each a part of its own"
                )
            made = make()
            if self._writer is None:
                self._process = os.getpid()
                self._writer = Writer(self.folder, self.made, part=self.part, every=self.every)
            entry = self._writer.put(key, made.arrays, made.facts)
            if entry is None:  # a part of this name was written to after it was read
                self._reader.refresh()
                return Kept(self._reader[key], self._reader.facts(key))
            self._waiting[key] = made, entry
            if not self._writer.waiting:
                self._flushed()
            return made

    def flush(self) -> None:
        """Bring what was made to the disk."""
        with self._lock:
            if self._writer is not None:
                self._writer.flush()
                self._flushed()

    def close(self) -> None:
        """Flush, and let other processes write the part."""
        with self._lock:
            self.flush()
            if self._writer is not None:
                self._writer.close()
                self._writer = None

    def _flushed(self) -> None:
        self._reader.add({key: entry for key, (_, entry) in self._waiting.items()})
        self._waiting.clear()


def arrays_of(name: str, embedding: Embedding, dtype: str) -> Kept:
    """An embedding as it is kept: its states in that dtype, its mask unless all count, its space as a fact."""
    import numpy as np

    states = embedding.array
    with np.errstate(over="ignore"):
        kept = states.astype(dtype)
    if not np.isfinite(kept).all():
        what = "are too large for float16" if np.isfinite(states).all() else "are NaN or infinite"
        raise ModelError(f"states of space {embedding.space} {what}; use dtype='float32', or look at the encoder")
    arrays = {name: kept}
    if not embedding.mask.all():
        arrays[f"{name}.mask"] = embedding.mask
    return Kept(arrays, {name: embedding.space})
