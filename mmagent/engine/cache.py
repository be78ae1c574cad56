"""Results of calls kept in memory, by recipe, within a budget of bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

from mmagent.media import Media

MEMORY = 512 * 2**20
"""Bytes of media that a cache keeps alive, if it is not told otherwise."""


class Cache:
    """Keeps the outputs of calls, those used last when `budget` bytes do not hold them all. Safe for threads."""

    def __init__(self, budget: int = MEMORY) -> None:
        self.budget = budget
        self._lock = threading.Lock()
        self._entries: OrderedDict[str, tuple[tuple[Any, ...], int]] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def nbytes(self) -> int:
        """Bytes of the media that it keeps; one that several results share counts for each."""
        return self._bytes

    def get(self, key: str) -> tuple[Any, ...] | None:
        """The outputs of that call, by port, or None."""
        with self._lock:
            found = self._entries.get(key)
            if found is None:
                return None
            self._entries.move_to_end(key)
            return found[0]

    def put(self, key: str, values: tuple[Any, ...]) -> None:
        """Keep the outputs of a call; more than the whole budget is not kept."""
        size = sum(item.nbytes for item in media_in(values)) + 512  # an empty result takes room, too
        if size > self.budget:
            return
        with self._lock:
            old = self._entries.pop(key, None)
            self._bytes += size - (old[1] if old else 0)
            self._entries[key] = (values, size)
            while self._bytes > self.budget:
                _, (_, freed) = self._entries.popitem(last=False)
                self._bytes -= freed

    def after_fork(self) -> None:
        """Start anew in a child process: a thread that is not there any more may have held the lock."""
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
            self._bytes = 0


def media_in(values: tuple[Any, ...]) -> list[Media]:
    """The media among the outputs of a call, those of lists included."""
    return [item for value in values if value is not None for item in ((value,) if isinstance(value, Media) else value)]
