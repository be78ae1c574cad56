"""A tool of a server as a tool here: its card off its schema, its call a request that can be cancelled."""

from __future__ import annotations

import asyncio
from collections import namedtuple
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mmagent.adapters.mcp.arguments import Check, parsed, to_arguments
from mmagent.adapters.mcp.connection import Connection
from mmagent.adapters.mcp.errors import RemoteError, RemoteTimeout, ServerGone, words
from mmagent.adapters.mcp.parameters import Parameter
from mmagent.adapters.mcp.results import Piece, of_resource, pieces, settle, unpacked
from mmagent.card import Card, Scalar
from mmagent.context import Context
from mmagent.errors import Cancelled, CardError, MMAgentError
from mmagent.intake import Limits
from mmagent.trace.redact import harmless

if TYPE_CHECKING:
    from mcp import Client, types
    from mcp.shared.dispatcher import ProgressFnT

_LONGEST = 500
_FORGOTTEN = frozenset({"Session not found", "Session terminated"})
"""How the answer reads, the server's own or the library's for status 404, by which an HTTP server knows a session no more."""


@dataclass(frozen=True, eq=False, slots=True)
class RemoteTool:
    """One tool of a server; a tool type that is its own instance, since what it holds is the server's.

    `name` is what the server calls it. `timeout` is in seconds without an answer or progress. `structured`: its
    outputs are read from the structured content.
    """

    card: Card
    name: str
    connection: Connection
    parameters: tuple[Parameter, ...]
    check: Check
    structured: bool
    timeout: float
    limits: Limits
    __weakref__: Any = field(init=False, repr=False)

    def card_for(self, settings: Mapping[str, Scalar]) -> Card:
        """The card; CardError if a setting that holds JSON holds none."""
        for parameter in self.parameters:
            value = settings.get(parameter.item.name)
            if parameter.form == "json" and isinstance(value, str):
                try:
                    parsed(parameter, value)
                except CardError as error:
                    raise CardError(f"{self.card.name}: {error}") from None
        return self.card

    def make(self, settings: Mapping[str, object]) -> RemoteTool:
        """This tool itself."""
        return self

    def load(self) -> None:
        """Nothing to do: the session is opened by the first call that needs it."""

    def unload(self) -> None:
        """Nothing to do: the session is shared with the server's other tools; close those to end it."""

    async def run(self, /, *, ctx: Context, **given: Any) -> Any:
        """Call the server's tool; cancelling the task cancels the request there.

        RemoteError names server, tool and what it said; RemoteTimeout, ServerGone are two of its kinds.
        """
        return await asyncio.wrap_future(self.connection.submit(self._call, ctx, given))

    # -- in the connection's loop

    async def _call(self, ctx: Context, given: Mapping[str, Any]) -> Any:
        import anyio
        from mcp import MCPError

        try:
            arguments = await anyio.to_thread.run_sync(self._arguments, given, ctx.seed)
            with anyio.fail_after(self.timeout) as scope:

                async def told(progress: float, total: float | None, message: str | None) -> None:
                    scope.deadline = anyio.current_time() + self.timeout
                    _tell(ctx, progress, total, harmless(message or ""))

                client, result = await self._request(arguments, told)
                self._check(result)
                scope.deadline = anyio.current_time() + self.timeout
                found = await self._gather(client, result.content)
            return await anyio.to_thread.run_sync(self._values, found, result.structured_content)
        except MMAgentError as error:
            if isinstance(error, RemoteError) and error.tool:
                raise
            kind = type(error) if isinstance(error, RemoteError) else RemoteError
            why = str(error).removeprefix(f"MCP server {self.connection.name}: ")
            raise kind(self.connection.name, self.name, why) from error
        except TimeoutError:
            why = f"it showed no progress for {self.timeout:g} s and was cancelled; give it longer with timeout="
            raise RemoteTimeout(self.connection.name, self.name, why) from None
        except MCPError as error:
            raise self._refusal(error) from None
        except Exception as error:
            raise RemoteError(self.connection.name, self.name, words(error)) from None

    async def _request(self, arguments: dict[str, Any], told: ProgressFnT) -> tuple[Client, types.CallToolResult]:
        """Ask for the call; once more in a new session if the server has forgotten the old one, so that nothing ran."""
        from mcp import MCPError

        client = await self.connection.client()
        try:
            try:
                return client, await client.call_tool(self.name, arguments, progress_callback=told)
            except MCPError as error:
                if error.message not in _FORGOTTEN or not self.connection.forgotten(client):
                    raise
            client = await self.connection.client()
            return client, await client.call_tool(self.name, arguments, progress_callback=told)
        except RuntimeError:  # the library's, which repeats the content that it found wrong
            why = "what it gave is not what its output schema says; tell whoever runs the server"
            raise RemoteError(self.connection.name, self.name, why) from None

    def _arguments(self, given: Mapping[str, Any], seed: int) -> dict[str, Any]:
        arguments = to_arguments(self.parameters, given, seed)
        self.check(arguments)
        return arguments

    def _check(self, result: types.CallToolResult) -> None:
        if result.is_error:
            said = harmless(" ".join(block.text for block in result.content if block.type == "text"), longest=_LONGEST)
            raise RemoteError(self.connection.name, self.name, said or "it failed without saying why")

    async def _gather(self, client: Client, content: Sequence[types.ContentBlock]) -> list[Piece]:
        """Everything that the answer holds or links to; a link's file is refused before it is read if it says its size."""
        found: list[Piece] = []
        for block in content if not self.structured else ():
            for item in pieces(block):
                if isinstance(item, Piece):
                    found.append(item)
                    continue
                self.limits.check("file_bytes", item.size or 0, harmless(item.uri, longest=80))
                read = await client.read_resource(item.uri)
                found += [of_resource(contents, item.meta) for contents in read.contents]
        return found

    def _values(self, found: Sequence[Piece], structured: Any) -> Any:
        ports = self.card.outputs
        read = unpacked(structured, ports, self.limits) if self.structured else None
        values = settle(found, ports, structured, self.limits) if read is None else read
        if len(ports) == 1:
            return values[ports[0].name]
        return namedtuple("Outputs", [port.name for port in ports], rename=True)(*values.values())

    def _refusal(self, error: Any) -> RemoteError:
        from mcp.types import CONNECTION_CLOSED

        if error.code == CONNECTION_CLOSED:
            why = "it ended while it was called; the next call opens it anew"
            return ServerGone(self.connection.name, self.name, why)
        return RemoteError(self.connection.name, self.name, f"it refused the call: {harmless(error.message)}")


def _tell(ctx: Context, done: float, total: float | None, note: str) -> None:
    """A server's progress as ours; one that does not say how much there is in all leaves the fraction at nothing."""
    try:
        if total is not None and total > 0:
            ctx.progress(done, total, note)
        else:
            ctx.progress(0.0, 1.0, note or f"{done:g}")
    except Cancelled:  # the request is being cancelled, by the task that waits for it
        pass
