"""Calls under way by recipe: identical ones wait for the first instead of repeating it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmagent.engine.job import Job


class Flights:
    """Who computes what, over all runs of an engine. Nobody waits in a thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, list[Job]] = {}

    def join(self, key: str, job: Job) -> bool:
        """True if `job` is to compute it; otherwise `job.resume` will be called when that is settled."""
        with self._lock:
            waiting = self._waiting.get(key)
            if waiting is None:
                self._waiting[key] = []
                return True
            waiting.append(job)
            return False

    def land(self, key: str, values: tuple[Any, ...] | None) -> None:
        """Settle it: those who wait get `values`, or, if there are none, try for themselves."""
        with self._lock:
            waiting = self._waiting.pop(key, [])
        for job in waiting:
            job.resume(given=values)
