"""The tools of an MCP server as tools here: for an agent, a graph, or a call of their own."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path, PurePath
from types import TracebackType
from typing import TYPE_CHECKING, Self, overload
from urllib.parse import urlsplit

from mmagent.adapters.mcp.arguments import checker
from mmagent.adapters.mcp.connection import Connection
from mmagent.adapters.mcp.errors import RemoteError, require, words
from mmagent.adapters.mcp.outputs import Makes, read_outputs
from mmagent.adapters.mcp.parameters import read_parameters, slug
from mmagent.adapters.mcp.remote import RemoteTool
from mmagent.adapters.mcp.transport import Dial, address, program
from mmagent.card import Card, Port, Setting
from mmagent.errors import CardError, UnknownName
from mmagent.intake import Limits

if TYPE_CHECKING:
    from mcp import types

_MOST_PAGES = 100


class McpTools(Sequence[RemoteTool]):
    """A server's tools, in its order, with the connection that they share. Close it to end that; or use `with`.

    A tool is found by its place, or by its name: the server's, or the card's with or without version.
    """

    def __init__(self, connection: Connection, tools: Sequence[RemoteTool]) -> None:
        self._connection, self._tools = connection, tuple(tools)

    def __repr__(self) -> str:
        return f"McpTools({self._connection.name!r}, {[tool.card.name for tool in self._tools]})"

    def __len__(self) -> int:
        return len(self._tools)

    def __iter__(self) -> Iterator[RemoteTool]:
        return iter(self._tools)

    @overload
    def __getitem__(self, key: int | str) -> RemoteTool: ...
    @overload
    def __getitem__(self, key: slice) -> Sequence[RemoteTool]: ...
    def __getitem__(self, key: int | str | slice) -> RemoteTool | Sequence[RemoteTool]:
        if not isinstance(key, str):
            return self._tools[key]
        for tool in self._tools:
            if key in (tool.name, tool.card.name, tool.card.short):
                return tool
        names = ", ".join(tool.name for tool in self._tools) or "none"
        raise UnknownName(f"MCP server {self._connection.name} has no tool {key!r}; it has {names}")

    def close(self) -> None:
        """End the session; calls that still run fail with ServerGone, and so do later ones."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def mcp_tools(
    name: str = "",
    *,
    command: Sequence[str] = (),
    url: str = "",
    env: Mapping[str, str] | None = None,
    cwd: str | Path | None = None,
    headers: Mapping[str, str] | None = None,
    only: Collection[str] | None = None,
    ports: Mapping[str, Mapping[str, str]] | None = None,
    makes: str | Mapping[str, Makes] | None = None,
    converters: Collection[str] = (),
    cost: float = 1.0,
    timeout: float = 60.0,
    patience: float = 30.0,
    limits: Limits | None = None,
) -> McpTools:
    """The tools of one MCP server, started as `command` (with `env`, `cwd`) or reached at `url` (with `headers`).

        with mcp_tools("paint", command=["uvx", "paint-server"], makes={"draw": "image"}) as tools:
            agent = Agent(tools=tools)

    A tool `draw` becomes `paint-draw.v1`; `name` is the server's own if none is given, `only` picks some of its
    tools. By the server's name of a tool, `ports` says which parameters are ports (see `read_parameters`), and
    `makes` what it makes: a port, or several by output name; a single port is for every tool. What is not said and
    no schema tells is settings in, text out. What takes media is never inserted where an edge does not fit, except
    for the tools named in `converters`: nobody knows what a server does with it. `cost` is the seconds expected of a
    call, `timeout` those without an answer or progress after which it is given up, `patience` those to begin in.
    What comes back passes `limits`.

    MissingExtra without the library, ServerGone if the server cannot be reached, CardError for a choice that does
    not fit what it offers.
    """
    require("mcp_tools")
    if bool(command) == bool(url) or isinstance(command, str):
        raise CardError("mcp_tools takes the command of a server, as a list of words, or its url; give one of them")
    bounds = limits or Limits()
    dial: Dial = program(command, env, cwd) if command else address(url, headers, bounds)
    given = slug(name) or slug(PurePath(command[0]).stem if command else urlsplit(url).hostname or "server")
    connection = Connection(given, dial, patience)
    with ExitStack() as undo:
        undo.callback(connection.close)
        own, offered = connection.submit(_offered, connection).result()
        if not name and slug(own):
            connection.name = slug(own)
        wanted = [tool for tool in offered if only is None or tool.name in only]
        for names, option in ((only or (), "only"), (ports or {}, "ports"), (converters, "converters")):
            _known(names, offered, option, connection.name)
        if isinstance(makes, Mapping):
            _known(makes, offered, "makes", connection.name)
        made = [
            _tool(
                tool,
                connection,
                (ports or {}).get(tool.name, {}),
                makes.get(tool.name) if isinstance(makes, Mapping) else makes,
                tool.name in converters,
                cost,
                timeout,
                bounds,
            )
            for tool in wanted
        ]
        _check_names(made, connection.name)
        undo.pop_all()
    return McpTools(connection, made)


async def _offered(connection: Connection) -> tuple[str, list[types.Tool]]:
    """The server's own name, and its tools."""
    from mcp import MCPError

    client = await connection.client()
    found: list[types.Tool] = []
    cursor = None
    try:
        for _ in range(_MOST_PAGES):
            page = await client.list_tools(cursor=cursor)
            found += page.tools
            cursor = page.next_cursor
            if cursor is None:
                break
    except MCPError as error:
        raise RemoteError(connection.name, "", f"it does not list its tools: {words(error)}") from None
    return (client.server_info.name if client.server_info else ""), found


def _known(names: Collection[str], offered: Sequence[types.Tool], option: str, server: str) -> None:
    known = [tool.name for tool in offered]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise CardError(
            f"{option}: MCP server {server} has no tool {unknown[0]!r}; it has {', '.join(known) or 'none'}"
        )


def _check_names(tools: Sequence[RemoteTool], server: str) -> None:
    first: dict[str, str] = {}
    for tool in tools:
        other = first.setdefault(tool.card.name, tool.name)
        if other != tool.name:
            raise CardError(
                f"tools {other} and {tool.name} of MCP server {server} would both be {tool.card.name}; "
                "take one of them with only="
            )


def _tool(
    tool: types.Tool,
    connection: Connection,
    ports: Mapping[str, str],
    makes: Makes | None,
    converter: bool,
    cost: float,
    timeout: float,
    limits: Limits,
) -> RemoteTool:
    owner = f"tool {tool.name} of MCP server {connection.name}"
    parameters = read_parameters(tool.input_schema, owner, ports)
    outputs, structured = read_outputs(makes, tool.meta, tool.output_schema, owner)
    text = (tool.description or tool.title or "").strip()
    card = Card(
        name=f"{'-'.join(filter(None, (connection.name, slug(tool.name))))}.v1",
        # A generator is never put between two nodes that do not fit, unless it is entered by a text.
        kind="converter" if converter else "generator",
        inputs=tuple(parameter.item for parameter in parameters if isinstance(parameter.item, Port)),
        outputs=outputs,
        settings=tuple(
            parameter.item
            for parameter in parameters
            if isinstance(parameter.item, Setting) and parameter.form != "seed"
        ),
        doc=" ".join(text.split("\n\n")[0].split()),
        cost=cost,
        needs=("extra:mcp",),
        lossy=True,
        cacheable=False,
        call="async",
        context=True,
        follows_settings=any(parameter.form == "json" for parameter in parameters),
    )
    return RemoteTool(card, tool.name, connection, parameters, checker(tool.input_schema), structured, timeout, limits)
