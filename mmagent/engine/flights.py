"""Calls under way by recipe: identical ones wait for the first instead of repeating it."""

from __future__ import annotations

import threading
from time import perf_counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmagent.engine.job import Job


class Flights:
    """Who computes what, over all runs of an engine. Nobody waits in a thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._going: dict[str, tuple[Job, list[Job]]] = {}

    def join(self, key: str, job: Job) -> bool:
        """True if `job` is to compute it; otherwise `job.resume` will be called when that is settled."""
        with self._lock:
            going = self._going.get(key)
            if going is None:
                self._going[key] = (job, [])
                return True
            going[1].append(job)
            return False

    def leave(self, key: str, job: Job, patience: float) -> float | None:
        """How long `job` may still wait: until the call that it waits for has shown no life for `patience` seconds.

        It is taken off, and 0 returned, when that time is over; None if it does not wait any more.
        """
        with self._lock:
            going = self._going.get(key)
            if going is None or job not in going[1]:
                return None
            left = going[0].seen + patience - perf_counter()
            if left > 0:
                return left
            going[1].remove(job)
            return 0.0

    def land(self, key: str, values: tuple[Any, ...] | None) -> None:
        """Settle it: those who wait get `values`, or, if there are none, try for themselves."""
        with self._lock:
            going = self._going.pop(key, None)
        for job in going[1] if going is not None else ():
            job.resume(given=values)
