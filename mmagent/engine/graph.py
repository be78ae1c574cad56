"""A graph as users hold it: found by name, checked when it is made, run when asked."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmagent.engine.plan import compile
from mmagent.engine.run import default_engine

if TYPE_CHECKING:
    from mmagent.card import Card
    from mmagent.engine.plan import Plan
    from mmagent.engine.run import Engine
    from mmagent.engine.stream import AsyncStream, Stream
    from mmagent.graph.builder import GraphBuilder
    from mmagent.graph.checked import CheckedGraph
    from mmagent.graph.spec import GraphSpec
    from mmagent.media import Media
    from mmagent.registry import Registry


class Graph:
    """A typed graph of tools.

        graph = Graph("caption-and-speak")
        graph.run(picture=Image("cat.png"))     # {"speech": Speech(...)}

    `source` is a name on a shelf, a file, a spec, or a `GraphBuilder` with the tools that were given to it. It is
    checked at once: GraphError carries its faults, UnknownName the nearest names. Other tools than the builder's
    or the shelves' come from `registry`, and `engine` runs it, if they are given.
    """

    def __init__(
        self,
        source: str | Path | GraphSpec | CheckedGraph | GraphBuilder,
        *,
        registry: Registry | None = None,
        engine: Engine | None = None,
    ) -> None:
        from mmagent.graph.builder import GraphBuilder
        from mmagent.graph.checked import CheckedGraph
        from mmagent.graph.library import Library

        self.library = Library(registry)
        if isinstance(source, GraphBuilder):
            if registry is None:
                self.library = source.library.extended()  # what the builder is given later is not this graph's
            source = source.build()
        self._engine = engine
        self.checked = source if isinstance(source, CheckedGraph) else self.library.checked(source)
        self._plans: dict[tuple[str, ...] | None, Plan] = {}

    @property
    def spec(self) -> GraphSpec:
        """What the graph is, as plain data."""
        return self.checked.spec

    @property
    def name(self) -> str:
        """Its name."""
        return self.spec.name

    @property
    def card(self) -> Card:
        """The graph as a tool: its inputs and outputs are ports."""
        from mmagent.graph.library import card_of

        return card_of(self.checked)

    @property
    def engine(self) -> Engine:
        """What runs it."""
        return self._engine or default_engine()

    def __repr__(self) -> str:
        return f"Graph({self.name!r})"

    # -- running

    def run(self, /, **inputs: Media | Sequence[Media] | None) -> dict[str, Any]:
        """Run it on these inputs; its outputs by name. Raises the first failure after the rest has finished.

        For a seed, some of the outputs, what is left after a failure, or a record of the calls there is `Engine.run`,
        which takes a graph: `graph.engine.run(graph, inputs, seed=7)`.
        """
        return self.engine.run(self, inputs).outputs

    async def arun(self, /, **inputs: Media | Sequence[Media] | None) -> dict[str, Any]:
        """The same without blocking the running event loop."""
        result = await self.engine.arun(self, inputs)
        return result.outputs

    def stream(self, /, **inputs: Media | Sequence[Media] | None) -> Stream:
        """Its events as they happen; `.result` afterwards. Leaving the loop early cancels the run."""
        return self.engine.stream(self, inputs)

    def astream(self, /, **inputs: Media | Sequence[Media] | None) -> AsyncStream:
        """The same for `async for`."""
        return self.engine.astream(self, inputs)

    def plan(self, wanted: Collection[str] | None = None) -> Plan:
        """The graph compiled for the engine, for all its outputs or the `wanted` ones; made once."""
        key = None if wanted is None else tuple(sorted(wanted))
        if key not in self._plans:
            self._plans[key] = compile(self.checked, self.library.registry, wanted)
        return self._plans[key]

    # -- showing and saving

    def mermaid(self) -> str:
        """The graph as Mermaid text."""
        from mmagent.graph.draw import mermaid

        return mermaid(self.checked)

    def svg(self) -> str:
        """The graph as an SVG picture."""
        from mmagent.graph.draw import svg

        return svg(self.checked)

    def _repr_html_(self) -> str:
        return self.svg()

    def save(self, path: str | Path) -> Path:
        """Write the graph as YAML, with the full name of every tool, whole or not at all."""
        from mmagent.graph import yaml

        return yaml.write(self.library.pin(self.spec), path)
