"""Reaching a server: over a program's standard streams, or streamable HTTP on a port. Logs go to stderr."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mmagent.adapters.mcp.errors import ServeError

if TYPE_CHECKING:
    from mmagent.adapters.mcp.server import McpServer

PATH = "/mcp"
LARGEST_REQUEST = 64 * 2**20
"""Bytes of one HTTP request: a file of 48 MB in base64."""
SECONDS_TO_LEAVE = 2.0
INTERRUPTED = 130
"""The exit code of an interrupted program."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def over_stdio(server: McpServer) -> None:
    """Serve whoever started this process, until its standard input ends.

    Meanwhile standard output is the wire: what tools print goes to stderr. Interrupted, it leaves within two seconds.
    """
    import anyio
    from mcp import stdio_server

    def leave(*_: object) -> None:
        # At once, since the thread that waits for a line of standard input cannot be woken.
        server.engine.close(SECONDS_TO_LEAVE)
        os._exit(INTERRUPTED)

    async def run() -> None:
        protocol = server.protocol()
        async with stdio_server() as (reading, writing):
            await protocol.run(reading, writing, protocol.create_initialization_options())

    before = signal.signal(signal.SIGINT, leave)
    try:
        anyio.run(run)
    finally:
        signal.signal(signal.SIGINT, before)


def over_http(
    server: McpServer,
    host: str = "127.0.0.1",
    port: int = 8000,
    *,
    hosts: Sequence[str] = (),
    origins: Sequence[str] = (),
    ready: Callable[[str], object] = print,
) -> None:
    """Serve streamable HTTP until interrupted; `ready` is told the address once it is bound (port 0: any that is free).

    A request is refused unless its Host header, and its Origin if it has one, is of this machine or among `hosts`
    (`example.org`, `example.org:*`) and `origins`: a web page must not reach it by a name of its own. Anybody who can
    reach the port may call; there is no login. ServeError if another address than loopback is to be bound and no
    host is named, or if it cannot be bound.
    """
    import anyio
    import uvicorn
    from mcp.server.transport_security import TransportSecuritySettings

    if host not in LOOPBACK and not hosts:
        raise ServeError(
            f"{host} can be reached from other machines; name the hosts that they call it by with --allow-host NAME"
        )
    try:
        listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise ServeError(f"cannot listen on {host}:{port}: {error.strerror}; choose another --port") from error
    local = ["127.0.0.1:*", "localhost:*", "[::1]:*"]
    app = server.protocol().streamable_http_app(
        streamable_http_path=PATH,
        host=host,
        max_request_body_size=LARGEST_REQUEST,
        transport_security=TransportSecuritySettings(
            allowed_hosts=[*local, *hosts],
            allowed_origins=[*(f"http://{name}" for name in local), *origins],
        ),
    )
    shown = f"[{host}]" if ":" in host else host
    ready(f"http://{shown}:{listening.getsockname()[1]}{PATH}")
    # Its own log goes to stdout, and an access log tells what callers ask for.
    config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=2)
    with listening:
        anyio.run(lambda: uvicorn.Server(config).serve(sockets=[listening]))
