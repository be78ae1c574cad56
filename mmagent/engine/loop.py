"""The engine's one event loop, in a thread of its own: async tools and timers live here."""

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio


class Timer:
    """A call that is to come; `cancel` from any thread."""

    __slots__ = ("_call", "_handle", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
        self._loop, self._call = loop, call
        self._handle: asyncio.TimerHandle | None = None

    def start(self, seconds: float) -> None:
        """Begin to wait; in the loop's thread."""
        self._handle = self._loop.call_later(seconds, self._call)

    def cancel(self) -> None:
        """Do not call, and let go of what the call holds."""
        try:
            self._loop.call_soon_threadsafe(self._drop)
        except RuntimeError:  # the loop is closed: it will call nothing
            pass

    def _drop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()


class LoopThread:
    """An asyncio loop in a daemon thread, started at its first use (importing asyncio is not cheap)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def current(self) -> bool:
        """Whether the calling thread is the loop's."""
        return threading.current_thread() is self._thread

    def soon(self, call: Callable[[], None]) -> None:
        """Call it in the loop's thread."""
        self._running().call_soon_threadsafe(call)

    def later(self, seconds: float, call: Callable[[], None]) -> Timer:
        """Call it in the loop's thread after so many seconds, unless the timer is cancelled before."""
        loop = self._running()
        timer = Timer(loop, call)
        loop.call_soon_threadsafe(timer.start, seconds)
        return timer

    def task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start a task; only from the loop's thread."""
        task = self._running().create_task(work)
        self._tasks.add(task)  # the loop itself holds tasks weakly
        task.add_done_callback(self._tasks.discard)
        return task

    def close(self) -> None:
        """Cancel what runs and end the thread."""
        with self._lock:
            loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            if threading.current_thread() is not thread:
                thread.join()

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                import asyncio

                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._serve, args=(self._loop,), name="mmagent-loop", daemon=True
                )
                self._thread.start()
            return self._loop

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        import asyncio

        asyncio.set_event_loop(loop)
        loop.run_forever()
        for task in tuple(self._tasks):
            task.cancel()
        loop.run_until_complete(asyncio.gather(*self._tasks, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
