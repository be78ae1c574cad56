"""The order in which a graph's nodes can run, and the circles that keep it from having one. Names alone, no types."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from mmagent.graph.spec import NodeSpec, Source


class Circle(NamedTuple):
    """Nodes that need one another in a ring, and the port of the last that closes it."""

    nodes: tuple[str, ...]
    port: str


def order(
    nodes: Mapping[str, NodeSpec], ends: Iterable[Source], node_of: Callable[[Source], str | None]
) -> tuple[list[str], list[Circle]]:
    """The nodes that `ends` need, each after those that it needs itself; and every circle met on the way.

    Depth first from the ends, on a stack of its own: a chain may be longer than Python's recursion goes. A node
    is open while what it needs is being placed; to meet an open node again is to have gone in a circle.
    """
    placed: dict[str, bool] = {}
    found: list[str] = []
    circles: list[Circle] = []
    path: list[str] = []
    stack = [name for name in map(node_of, reversed(list(ends))) if name is not None]
    while stack:
        name = stack[-1]
        if name not in placed:
            placed[name] = False
            path.append(name)
            for port, source in reversed(tuple(nodes[name].inputs.items())):
                for item in (source,) if isinstance(source, str) else reversed(source):
                    other = item if item in nodes else node_of(item)
                    if other is None:
                        continue
                    if other not in placed:
                        stack.append(other)
                    elif not placed[other]:
                        circles.append(Circle(tuple(path[path.index(other) :]), port))
            continue
        stack.pop()
        if not placed[name]:
            placed[name] = True
            path.pop()
            found.append(name)
    return found, circles
