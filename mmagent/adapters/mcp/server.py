"""Our tools and graphs, and an agent if one is given, for any MCP client. How it is reached is the business of `serve`.

All callers share the engine, its cache and its loaded tools. A conversation they do not: each request to the agent
begins a new one.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmagent.adapters.mcp.calls import ASK, ask, call
from mmagent.adapters.mcp.content import Writer
from mmagent.adapters.mcp.errors import require
from mmagent.adapters.mcp.held import Shelter
from mmagent.adapters.mcp.inputs import Door, read_arguments
from mmagent.adapters.mcp.labels import SCHEME
from mmagent.adapters.mcp.offer import Offer, as_tool, check_unique, offer
from mmagent.engine import Engine, default_engine
from mmagent.engine.graph import Graph
from mmagent.errors import CardError, IntakeError, MMAgentError
from mmagent.graph.join import join_graph, join_tool
from mmagent.graph.library import Library
from mmagent.graph.spec import GraphSpec
from mmagent.intake import Limits
from mmagent.registry import Registry
from mmagent.tool import ToolType

if TYPE_CHECKING:
    import mcp.server
    from mcp import types
    from mcp.server.context import ServerRequestContext

    from mmagent.agent import Agent

INLINE = 512 * 1024
"""Bytes of files that go into one answer: in base64 they stay below the 1 MiB that clients take by default."""
HOLD = 512 * 2**20


class McpServer:
    """Tools and graphs by name, or themselves; without any, all that the shelves have. `agent` is offered as `ask`.

    Callers may name files below `root`. Up to `hold` bytes of what was made are kept for links; up to `inline` go
    into an answer. `load_settings` lets callers choose what constructors take. CardError for what cannot be offered,
    UnknownName for a name that is not there, MissingExtra without the library.
    """

    def __init__(
        self,
        *tools: str | ToolType | Graph,
        agent: Agent | None = None,
        name: str = "mmagent",
        registry: Registry | None = None,
        engine: Engine | None = None,
        root: str | Path | None = None,
        hold: int = HOLD,
        inline: int = INLINE,
        limits: Limits | None = None,
        load_settings: bool = False,
    ) -> None:
        require("McpServer")
        self.name, self._engine, self._agent, self._inline = name, engine, agent, inline
        self._library = Library(registry).extended()
        self._load_settings = load_settings
        self.held = Shelter(hold)
        self._root, self._limits = Path(root) if root is not None else None, limits or Limits()
        offers = [self._offer(self._name(item)) for item in tools] if tools or agent else self._everything()
        if agent is not None:
            offers.append(Offer(ASK, (), seeded=True))
        check_unique(offers)
        self.offers: Mapping[str, Offer] = {item.name: item for item in offers}

    @property
    def engine(self) -> Engine:
        """What runs the calls."""
        return self._engine or default_engine()

    # -- what is offered

    def _name(self, item: str | ToolType | Graph) -> str:
        if isinstance(item, str):
            return item
        if isinstance(item, Graph):
            join_graph(self._library, item)
            return item.card.name
        join_tool(self._library, item)
        return item.card.name

    def _offer(self, name: str) -> Offer:
        card = self._library.card(name)
        seeded = card.context
        if isinstance(self._library.find(name), GraphSpec):
            seeded = any(node.card.context for node in self._library.checked(name.removesuffix(".v1")).nodes)
        return offer(card, load_settings=self._load_settings, seeded=seeded)

    def _everything(self) -> list[Offer]:
        """Every tool and graph that works, the latest version of each; those that cannot be offered are left out."""
        names = dict.fromkeys(card.short for card in self._library.cards(graphs=True))
        found = []
        for name in names:
            try:
                found.append(self._offer(name))
            except CardError:
                continue
        return found

    # -- the protocol

    def protocol(self) -> mcp.server.Server[Any]:
        """The server of the library, with our handlers."""
        from mcp.server import Server

        from mmagent import __version__

        about = (
            f"Media come as pictures, sounds and links. An address that begins with {SCHEME} may be given to any tool "
            "here that takes media."
        )
        return Server(
            self.name,
            version=__version__,
            instructions=about,
            on_list_tools=self._list_tools,
            on_call_tool=self._call_tool,
            on_list_resources=self._list_resources,
            on_list_resource_templates=self._list_templates,
            on_read_resource=self._read_resource,
        )

    async def _list_tools(self, ctx: ServerRequestContext[Any], params: object) -> types.ListToolsResult:
        from mcp import types

        paths = self._root is not None
        return types.ListToolsResult(tools=[as_tool(item, paths) for item in self.offers.values()])

    async def _list_resources(self, ctx: ServerRequestContext[Any], params: object) -> types.ListResourcesResult:
        """None: what was made for one caller is not shown to another."""
        from mcp import types

        return types.ListResourcesResult(resources=[])

    async def _list_templates(
        self, ctx: ServerRequestContext[Any], params: object
    ) -> types.ListResourceTemplatesResult:
        from mcp import types

        about = "What a tool here made, at the address that it gave."
        template = types.ResourceTemplate(name="media", uri_template=f"{SCHEME}{{file}}", description=about)
        return types.ListResourceTemplatesResult(resource_templates=[template])

    async def _read_resource(
        self, ctx: ServerRequestContext[Any], params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult:
        from mcp import MCPError, types

        try:
            held = self.held.get(params.uri)
        except IntakeError as error:
            raise MCPError(types.INVALID_PARAMS, str(error)) from None
        blob = base64.b64encode(held.data).decode()
        contents = types.BlobResourceContents(uri=held.uri, mime_type=held.mime, blob=blob)
        return types.ReadResourceResult(contents=[contents])

    async def _call_tool(
        self, ctx: ServerRequestContext[Any], params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        """Run a call; what goes wrong with it is told in the result, as the protocol wants it, for the model to see."""
        from mcp import MCPError, types

        offer = self.offers.get(params.name)
        if offer is None:
            known = ", ".join(self.offers) or "none"
            raise MCPError(types.INVALID_PARAMS, f"no tool {params.name!r:.80}; there are {known}")
        try:
            return types.CallToolResult(content=await self._answer(offer, params.arguments or {}, ctx))
        except MMAgentError as error:
            return types.CallToolResult(content=[types.TextContent(text=str(error))], is_error=True)

    async def _answer(
        self, offer: Offer, given: Mapping[str, Any], ctx: ServerRequestContext[Any]
    ) -> list[types.ContentBlock]:
        from anyio import to_thread

        door = Door(self.held, self._root, self._limits)
        inputs, settings, seed = await to_thread.run_sync(read_arguments, offer, given, door)
        writer = Writer(self.held, self._inline)
        if offer.card is ASK and self._agent is not None:
            await ask(self._agent, inputs, seed, writer, ctx)
        else:
            await call(offer.card, inputs, settings, seed, self._library, self.engine, writer, ctx)
        return writer.blocks
