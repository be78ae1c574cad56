"""Loaded tools, shared by every call that needs the same one, each lent out as its card allows."""

from __future__ import annotations

import threading
from collections import deque
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal

from mmagent.engine.variant import Variant
from mmagent.errors import RunError
from mmagent.tool import Preset

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
        self._loading = self._leaving = False
        self._leases = 0
        self._stuck: float | None = None
        """Since when the lease, or the load, has not been worth waiting for without end."""
        self._instance: Instance | None = None

    @property
    def tool(self) -> str:
        """The name of the tool."""
        return self._variant.card.name

    @property
    def run(self) -> Any:
        """The `run` of the loaded tool; only for the holder of a lease."""
        return self._instance.run if self._instance is not None else None

    def lease(self, job: Job) -> Lease:
        """`call`: the instance is yours; `load`: call `load` first; `wait`: `job.resume` will be called."""
        with self._lock:
            if self._loading or (self._leases and not self._shared):
                self._queue.append(job)
                return "wait"
            if self._instance is None:
                self._loading, self._stuck = True, perf_counter()
                return "load"
            self._leases += 1
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
                self._loading, self._stuck = False, None
                waiting, self._queue = self._queue, deque()
            for job in waiting:
                job.resume(failed=error)
            if isinstance(cause, KeyboardInterrupt):
                raise
            raise error from cause
        with self._lock:
            self._instance, self._loading, self._stuck = instance, False, None
            waiting, self._queue = (self._queue, deque()) if self._shared else (deque(), self._queue)
            self._leases += 1 + len(waiting)
        for job in waiting:
            job.resume(leased=True)

    def leave(self) -> None:
        """Who was to load the instance will not; the next of those who wait is to."""
        with self._lock:
            self._loading, self._stuck = False, None
            waiting, self._queue = self._queue, deque()
        for job in waiting:
            job.resume()

    def release(self) -> None:
        """End a lease; the next in the queue gets it."""
        following = leaving = None
        with self._lock:
            self._leases -= 1
            self._stuck = None
            if self._queue:
                following = self._queue.popleft()
                self._leases += 1
            elif self._leaving and not self._leases:
                leaving, self._instance, self._leaving = self._instance, None, False
        if leaving is not None:
            leaving.unload()
        if following is not None:
            following.resume(leased=True)

    def given_up(self) -> None:
        """The call that holds a lease is not waited for any more, but has not returned."""
        with self._lock:
            self._stuck = perf_counter()

    def patience(self, job: Job, limit: float) -> float | None:
        """How long a queued job may still wait: a load, or a call that was given up, may be in its way.

        None if it waits no more. When one has been in the way for `limit` seconds the job is taken off the queue,
        and 0 returned.
        """
        with self._lock:
            if job not in self._queue:
                return None
            left = limit if self._stuck is None else self._stuck + limit - perf_counter()
            if left <= 0:
                self._queue.remove(job)
                return 0.0
            return left

    def unload(self) -> None:
        """Unload the instance, at once or when the calls that use it have returned; the next call loads it again."""
        with self._lock:
            if self._leases:
                self._leaving = True
                return
            instance, self._instance = self._instance, None
        if instance is not None:
            instance.unload()


class Instances:
    """Every loaded tool of an engine, by tool and load settings; a preset is its tool with other settings.

    One whose weights have changed since is loaded anew, and unloaded once its last call has ended.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._slots: dict[object, tuple[str, Slot]] = {}

    def slot(self, variant: Variant) -> Slot:
        """Where the instance for that variant is, or will be."""
        tool = variant.tool
        while isinstance(tool, Preset):
            tool = tool.base
        key, weights = (tool, variant.load_settings), variant.card.weights
        found = self._slots.get(key)
        if found is not None and found[0] == weights:
            return found[1]
        with self._lock:
            found = self._slots.get(key)
            if found is None or found[0] != weights:
                old, found = found, (weights, Slot(variant))
                self._slots[key] = found
                if old is not None:
                    old[1].unload()
        return found[1]

    def close(self) -> list[RunError]:
        """Unload them all; what went wrong with any of them."""
        with self._lock:
            slots, self._slots = self._slots, {}
        errors = []
        for _, slot in slots.values():
            try:
                slot.unload()
            except Exception as cause:
                error = RunError(f"{slot.tool}: unload() failed: {type(cause).__name__}: {cause}")
                error.__cause__ = cause
                errors.append(error)
        return errors
