"""One session with a server: opened when it is first needed, kept open, and opened again after it has died.

A session belongs to the event loop in which it began, and engines have loops of their own; so each connection has a
thread with a loop, and every call is handed over to it.
"""

from __future__ import annotations

import asyncio
import atexit
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from mmagent.adapters.mcp.errors import RemoteError, ServerGone, leaf, words
from mmagent.adapters.mcp.transport import Dial, Watched

if TYPE_CHECKING:
    from mcp import Client

P = ParamSpec("P")
R = TypeVar("R")


class Connection:
    """A server called `name`, reached by `dial`, which is given `patience` seconds to begin. Close it after use."""

    def __init__(self, name: str, dial: Dial, patience: float) -> None:
        from anyio.from_thread import start_blocking_portal

        self.name, self._dial, self._patience = name, dial, patience
        self._lock = threading.Lock()
        self._portal = start_blocking_portal(name=f"mmagent-mcp-{name}")
        self._inside = self._portal.__enter__()
        self._opening = asyncio.Lock()
        self._session: _Session | None = None
        self._closed = False
        atexit.register(self.close)

    def __repr__(self) -> str:
        return f"<MCP server {self.name}>"

    def submit(self, work: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Do `work` in the connection's loop; cancelling the future cancels it. ServerGone once it is closed."""
        with self._lock:
            if self._closed:
                raise ServerGone(self.name, "", "it was closed; open it again with mcp_tools(...)")
            return self._inside.start_task_soon(lambda: work(*args, **kwargs))

    def close(self) -> None:
        """End the session, and the server if it is a program of ours; may be called more than once."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        atexit.unregister(self.close)
        self._inside.call(self._end)
        self._portal.__exit__(None, None, None)

    # -- in the connection's loop

    async def client(self) -> Client:
        """The open session; ServerGone if it cannot be opened."""
        async with self._opening:
            if self._session is not None and self._session.leave.is_set():
                await asyncio.wait([self._session.keeper])  # it has died, and may still be seeing its server to the end
            if self._session is None or self._session.keeper.done():
                self._session = self._begin()
            try:
                return await asyncio.wait_for(asyncio.shield(self._session.opened), self._patience)
            except TimeoutError:
                self._session.end()
                why = f"it did not answer within {self._patience:g} s; check what it prints, or give it more patience="
                raise ServerGone(self.name, "", why) from None

    def forgotten(self, client: Client) -> bool:
        """Whether the server knows the session of `client` no more; the next call then opens another."""
        session = self._session
        if session is None or session.client is not client:
            return True  # another call has seen to it
        if session.lost.is_set():
            session.end()
        return session.lost.is_set()

    def _begin(self) -> _Session:
        session = _Session()
        session.keeper = asyncio.create_task(self._keep(session))
        return session

    async def _keep(self, session: _Session) -> None:
        """Hold a session open until it dies or is to be left: it must end in the task in which it began."""
        from mcp import Client, types

        from mmagent import __version__

        own = types.Implementation(name="mmagent", version=__version__)
        try:
            with session.scope:
                streams = Watched(self._dial(session.lost.set), session.leave.set)
                async with Client(streams, client_info=own) as session.client:
                    session.opened.set_result(session.client)
                    await session.leave.wait()
        except Exception as error:
            if not session.opened.done():
                session.opened.set_exception(self._unopened(error))
            # Else it died: whoever was being served has been told.

    def _unopened(self, error: BaseException) -> RemoteError:
        from mcp import MCPError, types

        cause = leaf(error)
        if isinstance(cause, MCPError) and cause.code == types.CONNECTION_CLOSED:
            return ServerGone(self.name, "", "it ended before it could be spoken to; check what it prints")
        return ServerGone(self.name, "", f"it cannot be reached: {words(cause)}; check its command or address")

    async def _end(self) -> None:
        if self._session is not None and not self._session.keeper.done():
            self._session.end()
            await asyncio.wait([self._session.keeper])


class _Session:
    """A session that is being opened or is open; `leave` is set when it is to end or has died, `lost` when its server
    has forgotten it."""

    def __init__(self) -> None:
        import anyio

        self.opened: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
        self.opened.add_done_callback(lambda done: done.cancelled() or done.exception())  # whoever waits may have left
        self.scope, self.leave, self.lost = anyio.CancelScope(), asyncio.Event(), asyncio.Event()
        self.client: Client | None = None
        self.keeper: asyncio.Task[None]

    def end(self) -> None:
        """Leave it, or give up opening it."""
        if not self.opened.done():
            self.opened.cancel()
            self.scope.cancel()  # a task that is cancelled itself would not see its server to the end
        self.leave.set()
