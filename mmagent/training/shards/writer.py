"""Packing arrays: appended, so that a kill at any time leaves what was packed before readable."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Self

from mmagent.errors import ModelError
from mmagent.training.shards import form

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

SHARD = 2**30
"""Bytes after which a new shard is begun."""


class Writer:
    """Appends records to one part of a folder. A key that is there already is not written again.

    Arrays go to the shard at once; their line follows in `flush`, when the data is on the disk: so no line speaks of
    what is not there. `flush` happens every `every` records, and at the end; a kill loses the records since. What
    a killed writer left beyond its last line is cut off by the next one. A part has one writer at a time:
    ModelError if another process holds it.
    """

    def __init__(
        self,
        folder: str | Path,
        made: Mapping[str, Any],
        *,
        part: str = "0",
        every: int = 64,
        shard_bytes: int = SHARD,
    ) -> None:
        if not part.isalnum():
            raise ModelError(f"a part is named by letters and digits, not {part!r}")
        self.folder, self.part, self.every, self.shard_bytes = Path(folder), part, every, shard_bytes
        self.digest = form.digest_of(made)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._index = (self.folder / f"{part}.ndjson").open("ab")
        try:
            _hold(self._index, self.folder / f"{part}.ndjson")
            self._keys, self._shard = self._recover(made)
            self._data = self._begin(self._shard)
        except BaseException:
            self._index.close()
            raise
        self._lines: list[bytes] = []

    def __contains__(self, key: str) -> bool:
        return key in self._keys

    def __len__(self) -> int:
        return len(self._keys)

    def put(self, key: str, arrays: Mapping[str, Array], facts: Mapping[str, str] | None = None) -> form.Entry | None:
        """Append the arrays of a record, by kind; where they are, or None if the key is there already.

        `facts` are kept beside them. ModelError for a dtype that is not kept.
        """
        import numpy as np

        if key in self._keys:
            return None
        if not arrays:
            raise ModelError(f"record {key} has no arrays")
        for kind, array in arrays.items():
            if array.dtype.name not in form.DTYPES:
                raise ModelError(f"{kind} is {array.dtype}; features are kept as {', '.join(form.DTYPES)}")
        if self._data.tell() > self.shard_bytes:
            self.flush()
            self._data.close()
            self._shard += 1
            self._data = self._begin(self._shard)
        told = {}
        for kind, array in arrays.items():
            self._data.write(b"\0" * (-self._data.tell() % form.ALIGN))
            told[kind] = (array.dtype.name, array.shape, self._data.tell())
            self._data.write(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())
        entry = form.Entry(self.part, self._shard, told, dict(facts or {}))
        line = json.dumps(
            {"key": key, "shard": entry.shard, "arrays": told, "facts": entry.facts}, separators=(",", ":")
        )
        self._lines.append(line.encode() + b"\n")
        self._keys.add(key)
        if len(self._lines) >= self.every:
            self.flush()
        return entry

    @property
    def waiting(self) -> int:
        """Records that were put since the last flush."""
        return len(self._lines)

    def flush(self) -> None:
        """Bring everything that was put to the disk, data first."""
        if not self._lines:
            return
        self._data.flush()
        os.fsync(self._data.fileno())
        self._index.write(b"".join(self._lines))
        self._index.flush()
        os.fsync(self._index.fileno())
        self._lines.clear()

    def close(self) -> None:
        """Flush and let go of the part."""
        self.flush()
        self._data.close()
        self._index.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _recover(self, made: Mapping[str, Any]) -> tuple[set[str], int]:
        """What is there, after cutting off what was not finished; the number of the last shard."""
        path = self.folder / f"{self.part}.ndjson"
        if b"\n" not in path.read_bytes()[: 2**20]:
            self._index.truncate(0)
            told = {"magic": form.MAGIC, "version": form.VERSION, "made": dict(made), "digest": self.digest}
            self._index.write(json.dumps(told).encode() + b"\n")
            self._index.flush()
            os.fsync(self._index.fileno())
            found: dict[str, form.Entry] = {}
        else:
            found, whole = form.entries(path, self.digest)
            self._index.truncate(whole)
        last = max((entry.shard for entry in found.values()), default=0)
        end = max((entry.end for entry in found.values() if entry.shard == last), default=0)
        shard = form.shard_path(self.folder, self.part, last)
        if shard.exists():
            os.truncate(shard, end)
        for later in self.folder.glob(f"{self.part}-*.bin"):
            if later.name > shard.name:
                later.unlink()
        return set(found), last

    def _begin(self, number: int) -> IO[bytes]:
        file = form.shard_path(self.folder, self.part, number).open("ab")
        if not file.tell():
            file.write(form.shard_head(self.digest))
        return file


def _hold(file: IO[bytes], path: Path) -> None:
    """Keep other processes from writing the part; the system lets go of it when this one dies."""
    try:
        import fcntl
    except ImportError:  # Windows: nothing keeps two writers of a part apart there
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise ModelError(f"{path} is being written by another process; give each a part of its own") from None
