"""The Model Context Protocol, both ways: tools of a server as tools here, and ours served to any host.

client       mcp_tools: a server's tools as tool types         remote       one of them
connection   one session, kept open and opened again           transport    how a session reaches its server
schemas      what a JSON schema says of a value                parameters   a tool's parameters as ports and settings
outputs      what a tool makes, as ports
arguments    values as JSON arguments                          results      content blocks as media
labels       what both sides write for each other              errors       what may go wrong with a server

server       McpServer: tools, graphs and an agent offered     offer        a card as a tool of the protocol
inputs       JSON arguments as media and settings              content      media as content blocks
calls        running a call, or asking the agent               gauge        how far a run is
held         media kept for links, within a budget             serve        stdio and streamable HTTP
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmagent.adapters.mcp.client import McpTools, mcp_tools
    from mmagent.adapters.mcp.errors import RemoteError, RemoteTimeout, ServerGone
    from mmagent.adapters.mcp.server import McpServer

_HOMES = {
    "McpServer": "mmagent.adapters.mcp.server",
    "McpTools": "mmagent.adapters.mcp.client",
    "RemoteError": "mmagent.adapters.mcp.errors",
    "RemoteTimeout": "mmagent.adapters.mcp.errors",
    "ServerGone": "mmagent.adapters.mcp.errors",
    "mcp_tools": "mmagent.adapters.mcp.client",
}

__all__ = ["McpServer", "McpTools", "RemoteError", "RemoteTimeout", "ServerGone", "mcp_tools"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'mmagent.adapters.mcp' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
