"""`mmagent mcp serve`: our tools, graphs and an agent for the hosts and clients of the Model Context Protocol."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mmagent.cli import inputs as words
from mmagent.cli.output import say

if TYPE_CHECKING:
    from mmagent.agent import Agent
    from mmagent.registry import Registry


@click.group("mcp", short_help="Serve tools over the Model Context Protocol.")
def command() -> None:
    """Serve tools over the Model Context Protocol."""


@command.command()
@click.argument("names", nargs=-1, metavar="[TOOL or GRAPH]...")
@click.option("--stdio", "transport", flag_value="stdio", default="stdio", help="Over standard streams (the default).")
@click.option("--http", "transport", flag_value="http", help="Over streamable HTTP.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to bind, with --http.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True,
              help="The port to bind, with --http; 0 takes any that is free.")  # fmt: skip
@click.option("--allow-host", "hosts", multiple=True, metavar="NAME[:PORT]",
              help="A name by which other machines may call it, with --http (may be repeated).")  # fmt: skip
@click.option("--allow-origin", "origins", multiple=True, metavar="URL",
              help="A web page's origin that may call it, with --http (may be repeated).")  # fmt: skip
@click.option("--root", type=click.Path(path_type=Path, exists=True, file_okay=False),
              help="Let callers name files below this folder.")  # fmt: skip
@click.option("--hold", type=click.IntRange(min=1), default=512, show_default=True, metavar="MIB",
              help="How much of what was made is kept for links.")  # fmt: skip
@click.option("--tool", "tool_files", multiple=True, type=click.Path(), metavar="FILE",
              help="A Python file with further tools (may be repeated).")  # fmt: skip
@click.option(
    "--agent",
    "model",
    metavar="MODEL",
    help="Serve an agent with this model as the tool `ask`; alone, if none is named.",
)
@click.option("--load-settings", is_flag=True, help="Let callers choose what tools' constructors take.")
@click.option("--name", default="mmagent", show_default=True, help="What the server is called.")
def serve(
    names: Sequence[str],
    transport: str,
    host: str,
    port: int,
    hosts: Sequence[str],
    origins: Sequence[str],
    root: Path | None,
    hold: int,
    tool_files: Sequence[str],
    model: str | None,
    load_settings: bool,
    name: str,
) -> None:
    """Serve tools and graphs: those named, or all that the shelves and --tool files have.

    Pictures and sounds come as such, other media as links. Everything that is not an answer goes to stderr.
    """
    from mmagent.adapters.mcp.serve import over_http, over_stdio
    from mmagent.adapters.mcp.server import McpServer

    with redirect_stdout(sys.stderr):  # a file may print when it is imported, and standard output is the wire
        registry = words.registry_with(tool_files)
        server = McpServer(
            *names,
            agent=_agent(model, registry) if model is not None else None,
            name=name,
            registry=registry,
            root=root,
            hold=hold * 2**20,
            load_settings=load_settings,
        )
    if transport == "http":
        over_http(server, host, port, hosts=hosts, origins=origins, ready=say)
    else:
        over_stdio(server)


def _agent(model: str, registry: Registry) -> Agent:
    from mmagent.agent import Agent

    return Agent(model, tools=list(registry.added.values()))
