"""Loaded tools, shared by every call that needs the same one, each lent out as its card allows."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Literal

from mmagent.engine.variant import Variant
from mmagent.errors import RunError

if TYPE_CHECKING:
    from mmagent.engine.job import Job
    from mmagent.tool import Instance

Lease = Literal["call", "load", "wait"]


class Slot:
    """The one instance of a tool with given settings. Nobody waits in a thread: calls that must wait are queued.

    An instance that is not `reentrant` serves one call at a time; the lease ends when the call really returns,
    however long ago its run gave it up.
    """

    def __init__(self, variant: Variant) -> None:
        self._variant = variant
        self._shared = variant.card.concurrency == "reentrant"
        self._lock = threading.Lock()
        self._queue: deque[Job] = deque()
        self._loading = self._lent = False
        self._instance: Instance | None = None

    @property
    def run(self) -> Any:
        """The `run` of the loaded tool; only for the holder of a lease."""
        return self._instance.run if self._instance is not None else None

    def lease(self, job: Job) -> Lease:
        """`call`: the instance is yours; `load`: call `load` first; `wait`: `job.resume` will be called."""
        with self._lock:
            if self._loading or (self._lent and not self._shared):
                self._queue.append(job)
                return "wait"
            if self._instance is None:
                self._loading = True
                return "load"
            self._lent = True
            return "call"

    def load(self) -> None:
        """Make and load the instance; afterwards the caller holds a lease. RunError if it fails, for all who wait."""
        try:
            instance = self._variant.tool.make(dict(self._variant.load_settings))
            instance.load()
        except BaseException as cause:
            error = RunError(f"load() failed: {type(cause).__name__}: {cause}")
            error.__cause__ = cause
            with self._lock:
                self._loading = False
                waiting, self._queue = self._queue, deque()
            for job in waiting:
                job.resume(failed=error)
            raise error from cause
        with self._lock:
            self._instance, self._loading, self._lent = instance, False, True
            waiting, self._queue = (self._queue, deque()) if self._shared else (deque(), self._queue)
        for job in waiting:
            job.resume(leased=True)

    def release(self) -> None:
        """End a lease; the next in the queue gets it."""
        if self._shared:
            return
        with self._lock:
            following = self._queue.popleft() if self._queue else None
            self._lent = following is not None
        if following is not None:
            following.resume(leased=True)

    def unload(self) -> None:
        """Unload the instance; the next call loads it again."""
        with self._lock:
            instance, self._instance = self._instance, None
        if instance is not None:
            instance.unload()


class Instances:
    """Every loaded tool of an engine, by tool and load settings."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._slots: dict[object, Slot] = {}

    def slot(self, variant: Variant) -> Slot:
        """Where the instance for that variant is, or will be."""
        key = (variant.tool, variant.load_settings)
        found = self._slots.get(key)
        if found is None:
            with self._lock:
                found = self._slots.setdefault(key, Slot(variant))
        return found

    def close(self) -> None:
        """Unload them all."""
        with self._lock:
            slots, self._slots = self._slots, {}
        for slot in slots.values():
            slot.unload()
