"""Reading packed arrays: views into mapped files, found by key, without a copy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmagent.errors import ModelError
from mmagent.training.shards import form

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]


class Reader(Mapping[str, Mapping[str, "Array"]]):
    """The arrays of every part of a folder, by key and kind: read-only views of mapped memory.

    It knows what was flushed when it was made or `refresh` was called. ModelError if a file is none of the format,
    or holds what was made in another way.
    """

    def __init__(self, folder: str | Path, made: Mapping[str, Any]) -> None:
        self.folder, self.digest = Path(folder), form.digest_of(made)
        self._entries: dict[str, form.Entry] = {}
        self._maps: dict[tuple[str, int], Array] = {}
        self.refresh()

    def refresh(self) -> None:
        """Look again for what writers have added."""
        for path in sorted(self.folder.glob("*.ndjson")):
            if b"\n" in path.read_bytes()[: 2**20]:
                self._entries |= form.entries(path, self.digest)[0]

    def add(self, entries: Mapping[str, form.Entry]) -> None:
        """Know of what a writer of this process has flushed."""
        self._entries |= entries

    def facts(self, key: str) -> Mapping[str, str]:
        """What is kept beside the arrays of a record."""
        return self._entries[key].facts

    def __getitem__(self, key: str) -> Mapping[str, Array]:
        entry = self._entries[key]
        flat = self._mapped(entry)
        return {
            kind: flat[offset : offset + form.size_of(dtype, shape)].view(dtype).reshape(shape)
            for kind, (dtype, shape, offset) in entry.arrays.items()
        }

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def _mapped(self, entry: form.Entry) -> Array:
        import numpy as np

        found = self._maps.get((entry.part, entry.shard))
        if found is None or len(found) < entry.end:  # the shard has grown since it was mapped
            path = form.shard_path(self.folder, entry.part, entry.shard)
            try:
                found = np.memmap(path, np.uint8, "r").view(np.ndarray)
            except (OSError, ValueError) as error:
                raise ModelError(f"cannot read {path}: {error}; pack the features again") from None
            self._maps[entry.part, entry.shard] = found
        return found
