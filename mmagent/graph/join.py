"""Bringing what was made in Python into a library: a tool, or a graph with all that it names.

A graph is saved with names alone, so in a library a name must stand for one thing: what would make another of it
is refused, never put in its place.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from mmagent.card import Card
from mmagent.errors import CardError
from mmagent.graph.checked import CheckedGraph
from mmagent.graph.library import Library
from mmagent.graph.spec import GraphSpec
from mmagent.tool import ToolType


@runtime_checkable
class OwnGraph(Protocol):
    """A graph that carries the library in which its names are found, as `Graph` does."""

    @property
    def spec(self) -> GraphSpec:
        """What it is."""
        ...

    @property
    def checked(self) -> CheckedGraph:
        """The same, checked against its library."""
        ...

    @property
    def library(self) -> Library:
        """Where its names are found."""
        ...


def join_tool(library: Library, tool: ToolType) -> None:
    """Add a tool; CardError if another of its name was added before, or if it is no tool."""
    _check_tool(library, tool)
    library.registry.add(tool)


def join_spec(library: Library, spec: GraphSpec) -> None:
    """Add a graph; CardError if another of its name was added before, or if a tool has that name."""
    _check_spec(library, spec)
    _check_unhidden(library, spec)
    library.add(spec)


def join_graph(library: Library, graph: OwnGraph, *, replace: bool = False) -> None:
    """Add a graph with the tools and graphs made in Python that it names, at any depth; CardError as above.

    With `replace` it takes the place of a graph of its name; what it names must not take another's all the same.
    """
    tools, specs = _named(graph)
    for tool in tools:
        _check_tool(library, tool)
    for spec in specs if replace else (*specs, graph.spec):
        _check_spec(library, spec)
    _check_unhidden(library, graph.spec)
    made = graph.library.registry.added
    library.registry.add(*(tool for tool in tools if tool.card.name in made))
    own = [spec.name for spec in graph.library.added]
    library.add(*(spec for spec in specs if spec.name in own), graph.spec)


def _named(graph: OwnGraph) -> tuple[list[ToolType], list[GraphSpec]]:
    """Every tool and graph that a graph names, inserted converters too."""
    cards = {card.name for node in graph.checked.nodes for card in (node.card, *(item.card for item in node.fallbacks))}
    specs: dict[str, GraphSpec] = {}
    queue = [graph.spec]
    while queue:
        for node in queue.pop().nodes.values():
            for name in (node.tool, *node.fallback):
                found = graph.library.find(name)
                if isinstance(found, Card):
                    cards.add(found.name)
                elif found.name not in specs:
                    specs[found.name] = found
                    queue.append(found)
    return [graph.library.registry.find(name) for name in sorted(cards)], list(specs.values())


def _check_tool(library: Library, tool: ToolType) -> None:
    name = getattr(getattr(tool, "card", None), "name", "")
    if library.registry.added.get(name, tool) is not tool:
        raise CardError(f"another tool {name} was added here before; give one of them a name of its own, @tool(name=…)")


def _check_spec(library: Library, spec: GraphSpec) -> None:
    for other in library.added:
        if other.name == spec.name and other.without_origin() != spec.without_origin():
            raise CardError(f"another graph {spec.name} was added here before; give one of them a name of its own")


def _check_unhidden(library: Library, spec: GraphSpec) -> None:
    if library.registry.get(f"{spec.name}.v1") is not None:
        raise CardError(f"graph {spec.name} has the name of a tool, which hides it; give it a name of its own")
