"""How a session reaches its server: a program's standard streams, or streamable HTTP; and how its end is seen."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from mmagent.intake import Limits

if TYPE_CHECKING:
    from mcp.client._transport import TransportStreams

Dial = Callable[[Callable[[], object]], "AbstractAsyncContextManager[TransportStreams]"]
"""Reaches the server anew; the function that it is given is called when the server has forgotten the session."""

SECONDS_TO_CONNECT = 30.0
SECONDS_OF_SILENCE = 300.0
"""How long a stream that a server holds open may say nothing; ours, and others', send a sign of life before."""


def program(command: Sequence[str], env: Mapping[str, str] | None, cwd: str | Path | None) -> Dial:
    """Start a program and speak over its standard streams; what it writes to stderr goes to ours.

    Of the environment it is given PATH, HOME and the like, and `env`.
    """

    def dial(lost: Callable[[], object]) -> AbstractAsyncContextManager[TransportStreams]:
        from mcp import StdioServerParameters, stdio_client

        first, *rest = command
        server = StdioServerParameters(command=first, args=rest, env=dict(env or {}), cwd=cwd)
        # The process's own stderr: what stands in for it, in a notebook or a test, may be no file.
        return stdio_client(server, errlog=sys.__stderr__ or sys.stderr)

    return dial


def address(url: str, headers: Mapping[str, str] | None, limits: Limits) -> Dial:
    """Speak streamable HTTP with the server at `url`; `headers` go with every request."""

    @contextlib.asynccontextmanager
    async def dial(lost: Callable[[], object]) -> AsyncIterator[TransportStreams]:
        import httpx2
        from mcp.client.streamable_http import streamable_http_client

        async def see(response: httpx2.Response) -> None:
            request = response.request
            if response.status_code == 404 and request.method == "POST" and "mcp-session-id" in request.headers:
                lost()  # so the protocol says it; a tool of the server's may only use the same words

        times = httpx2.Timeout(SECONDS_TO_CONNECT, read=SECONDS_OF_SILENCE)
        largest = limits.file_bytes * 4 // 3 + 2**20  # a file in base64, and what is around it
        async with (
            httpx2.AsyncClient(headers=dict(headers or {}), timeout=times, event_hooks={"response": [see]}) as client,
            streamable_http_client(url, http_client=client, max_sse_event_size=largest) as streams,
        ):
            yield streams

    return dial


class Watched:
    """A transport that says when it has ended, which a session does not: its next request fails, and no sooner."""

    def __init__(self, transport: AbstractAsyncContextManager[TransportStreams], ended: Callable[[], None]) -> None:
        self._transport, self._ended = transport, ended

    async def __aenter__(self) -> TransportStreams:
        reading, writing = await self._transport.__aenter__()
        return _Reading(reading, self._ended), writing

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._transport.__aexit__(kind, error, trace)


class _Reading:
    """A stream of messages that tells when its reader has left it."""

    def __init__(self, stream: Any, ended: Callable[[], None]) -> None:
        self._stream, self._ended = stream, ended

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)  # transports of HTTP carry each message's context along

    async def receive(self) -> Any:
        return await self._stream.receive()

    async def aclose(self) -> None:
        await self._stream.aclose()

    def __aiter__(self) -> _Reading:
        return self

    async def __anext__(self) -> Any:
        return await self._stream.__anext__()

    async def __aenter__(self) -> _Reading:
        await self._stream.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        self._ended()
        ended: bool | None = await self._stream.__aexit__(kind, error, trace)
        return ended
