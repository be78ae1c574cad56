"""The engine's worker threads: started when needed, kept, never a reason for a deadlock.

A worker that must wait for work of the same kind says so (`waiting`), and the pool counts one thread less
while it does, as it does while a worker goes on with what was given up (`Place`).
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue

Work = Callable[[], None]

_here = threading.local()
_number = itertools.count(1)


class Workers:
    """Up to `limit` daemon threads that share one queue."""

    def __init__(self, limit: int) -> None:
        self._limit, self._threads, self._idle = limit, 0, 0
        self._closed = False
        self._lock = threading.Lock()
        self._queue: SimpleQueue[Work | None] = SimpleQueue()

    def submit(self, work: Work) -> None:
        """Do `work` in a worker: an idle one, a new one, or, when all are busy, the first to be free."""
        with self._lock:
            if self._idle == 0 and (self._threads < self._limit or self._closed):
                self._spawn()
            else:
                self._idle = max(0, self._idle - 1)
            self._queue.put(work)

    def close(self) -> None:
        """Let the workers go when they have done what was submitted; what is submitted later gets a thread each."""
        with self._lock:
            self._limit = self._idle = 0
            self._closed = True
            for _ in range(self._threads):
                self._queue.put(None)

    def join(self, seconds: float) -> bool:
        """After `close`: wait so long for the workers to be done; whether they are."""
        until = time.monotonic() + seconds
        while self._threads and time.monotonic() < until:
            time.sleep(0.01)
        return self._threads == 0

    def _spawn(self) -> None:
        self._threads += 1
        # Its first work comes by the queue as well: a thread holds its arguments as long as it lives.
        threading.Thread(target=self._serve, name=f"mmagent-worker-{next(_number)}", daemon=True).start()

    def _serve(self) -> None:
        _here.workers = self
        work: Work | None = None
        while True:
            if work is not None:
                work()
            work = None  # lets go of the run while this thread idles
            with self._lock:
                # The count of idle workers may fall short, for a busy worker can take here what was queued for
                # an idle one; it never exceeds them, so nothing queued waits for a worker that is not there.
                try:
                    work = self._queue.get_nowait()
                except Empty:
                    if self._threads > self._limit:
                        self._threads -= 1
                        return
                    self._idle += 1
                else:
                    if work is None:  # the sign to go
                        self._threads -= 1
                        return
                    continue
            work = self._queue.get()
            if work is None:
                with self._lock:
                    self._threads -= 1
                return

    def _lend(self) -> None:
        """One thread more; under the lock."""
        self._limit += 1
        if self._idle == 0:
            self._spawn()

    @contextmanager
    def _waits(self) -> Iterator[None]:
        with self._lock:
            self._lend()
        try:
            yield
        finally:
            with self._lock:
                self._limit -= 1


class Place:
    """Where the current thread does what may be given up: its pool then gets another thread until this one is back."""

    __slots__ = ("_back", "_lent", "_workers")

    def __init__(self) -> None:
        self._workers: Workers | None = getattr(_here, "workers", None)
        self._back = self._lent = False

    def give_up(self) -> None:
        """Nobody waits for it any more; from any thread, more than once, also when it is back."""
        workers = self._workers
        if workers is not None:
            with workers._lock:
                if not self._back and not self._lent:
                    self._lent = True
                    workers._lend()

    def back(self) -> None:
        """The thread is back."""
        workers = self._workers
        if workers is not None:
            with workers._lock:
                self._back = True
                if self._lent:
                    workers._limit -= 1


def forget_thread() -> None:
    """Count the current thread to no pool: in the child of a fork it is a worker no more."""
    _here.__dict__.clear()


@contextmanager
def waiting() -> Iterator[None]:
    """Around a wait of the current thread for other work; frees its place if it is a worker of some pool."""
    workers: Workers | None = getattr(_here, "workers", None)
    if workers is None:
        yield
    else:
        with workers._waits():
            yield
