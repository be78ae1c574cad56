"""The switch by which a caller stops a run that is going on."""

from __future__ import annotations

import threading
from collections.abc import Callable


class CancelToken:
    """Cancels every run that it was given to; may be cancelled from any thread, more than once, before or during a run."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cancelled = False
        self._listeners: list[Callable[[], None]] = []

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self._cancelled

    def cancel(self) -> None:
        """Stop the runs: what waits does not start, what runs is told, and each run ends at once."""
        with self._lock:
            self._cancelled = True
            listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener()

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` once when cancelled, at once if that has happened; returns what takes it off again."""
        with self._lock:
            if not self._cancelled:
                self._listeners.append(listener)
                return lambda: self._forget(listener)
        listener()
        return lambda: None

    def _forget(self, listener: Callable[[], None]) -> None:
        with self._lock:
            if listener in self._listeners:
                self._listeners.remove(listener)
