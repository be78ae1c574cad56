"""The events of a run as it goes on, for callers that iterate; leaving early cancels the run."""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from types import TracebackType
from typing import TYPE_CHECKING, Self

from mmagent.engine.cancel import CancelToken
from mmagent.engine.events import Event
from mmagent.engine.threads import waiting
from mmagent.errors import RunError

if TYPE_CHECKING:
    from mmagent.engine.log import Listener
    from mmagent.engine.result import Result

Begin = Callable[["Listener", Callable[[], None], CancelToken], Callable[[], "Result"]]
"""Starts a run with a listener, a call for its end and a cancel token; returns what gives its result."""


class _Stream:
    def __init__(self, begin: Begin, put: Callable[[Event | None], None]) -> None:
        self._token = CancelToken()
        self._ended = False
        self._outcome = begin(put, lambda: put(None), self._token)

    @property
    def result(self) -> Result:
        """The run's result once the events have ended; raises what `run` would raise."""
        if not self._ended:
            raise RunError("the run still goes on; take its events to the end before its result, or use run()")
        return self._outcome()

    def _stop(self) -> None:
        self._ended = True
        self._token.cancel()

    def __del__(self) -> None:
        if not getattr(self, "_ended", True):
            self._stop()


class Stream(_Stream):
    """The events of a run, in order. Closing it, or letting go of it, before the end cancels the run."""

    def __init__(self, begin: Begin) -> None:
        self._queue: SimpleQueue[Event | None] = SimpleQueue()
        super().__init__(begin, self._queue.put)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        if self._ended:
            raise StopIteration
        try:
            with waiting():
                event = self._queue.get()
        except KeyboardInterrupt:
            self._stop()
            raise
        if event is None:
            self._ended = True
            raise StopIteration
        return event

    def close(self) -> None:
        """Cancel what still goes on."""
        self._stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncStream(_Stream):
    """The same for `async for`, in any loop; made in the loop that iterates."""

    def __init__(self, begin: Begin) -> None:
        import asyncio

        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise RunError(
                "astream() needs a running event loop; call it in an async function, or use stream()"
            ) from None
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._queue = queue

        def put(event: Event | None) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(queue.put_nowait, event)

        super().__init__(begin, put)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        if self._ended:
            raise StopAsyncIteration
        try:
            event = await self._queue.get()
        except BaseException:  # the task that iterates was cancelled
            self._stop()
            raise
        if event is None:
            self._ended = True
            raise StopAsyncIteration
        return event

    async def aclose(self) -> None:
        """Cancel what still goes on."""
        self._stop()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
