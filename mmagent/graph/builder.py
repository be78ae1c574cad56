"""Graphs in Python: name the inputs, add tools, name the outputs; what comes out is the same spec that YAML gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from mmagent.card import Card, Port, Scalar
from mmagent.errors import CardError, RegistryError
from mmagent.graph.advice import nearest
from mmagent.graph.checked import CheckedGraph
from mmagent.graph.join import OwnGraph, join_graph, join_spec, join_tool
from mmagent.graph.library import Library
from mmagent.graph.ports import parse_port
from mmagent.graph.spec import GraphSpec, NodeSpec, Source
from mmagent.media import Media
from mmagent.registry import Registry
from mmagent.registry import registry as shared
from mmagent.tool import ToolType


class NodeOptions(TypedDict, total=False):
    """How a node is run: the fields of `NodeSpec` that are neither inputs nor settings."""

    retries: int
    timeout: float | None
    fallback: Sequence[str | ToolType]
    seed: int | None
    each: str | None


class Output:
    """A graph's input, or one output of a node: what can be connected."""

    __slots__ = ("_source",)

    def __init__(self, source: Source) -> None:
        self._source = source

    def __repr__(self) -> str:
        return f"<{self._source}>"


class Node(Output):
    """A node; its outputs are its attributes. Itself it stands for its only output."""

    __slots__ = ("_card",)

    def __init__(self, name: str, card: Card | None) -> None:
        self._source, self._card = name, card

    def __getattr__(self, name: str) -> Output:
        if name.startswith("__"):
            raise AttributeError(name)
        if self._card is not None and self._card.output(name) is None:
            outputs = ", ".join(port.name for port in self._card.outputs)
            raise AttributeError(f"node {self._source} ({self._card.name}) has no output {name!r}; it has {outputs}")
        return Output(f"{self._source}.{name}")


Given = Output | Source | Scalar | Sequence[Output | Source]
Callable = str | ToolType | GraphSpec | OwnGraph
"""What a node may call: a tool or graph by name, or itself."""


class GraphBuilder:
    """A graph being written in Python.

        graph = GraphBuilder("caption-and-speak")
        tags = graph.add("tags", "image-tags", image=graph.input("picture", Image), top=5)
        graph.output("speech", graph.add("say", "say", text=tags.text))
        Graph(graph).run(picture=Image("cat.png"))

    Tools are given by name or as objects, graphs as a `Graph`, which brings the tools that it was made with, or as
    a spec. Objects join a registry of the builder's own; CardError if another one has the name there.
    """

    def __init__(self, name: str, *, doc: str = "", lossy: bool = False, registry: Registry | None = None) -> None:
        self.name, self.doc, self.lossy = name, doc, lossy
        self.registry = (registry if registry is not None else shared).copy()
        self.library = Library(self.registry)
        self._inputs: dict[str, Port] = {}
        self._nodes: dict[str, NodeSpec] = {}
        self._outputs: dict[str, Source] = {}
        self._found: dict[
            object, tuple[Callable, str, Card | None]
        ] = {}  # holds the objects, so that no id comes again
        self._named: dict[str, ToolType | GraphSpec | None] = {}  # what names that were given stood for

    def input(self, name: str, port: str | type[Media] | Port) -> Output:
        """Name an input: a media class, or a port as text (`speech(rate=16000)`, `list[image]`, `text | None`)."""
        self._free(name)
        if isinstance(port, Port):
            self._inputs[name] = Port(name, port.modality, port.many, port.optional, port.constraints)
        elif isinstance(port, str):
            try:
                self._inputs[name] = parse_port(name, port)
            except ValueError as error:
                raise CardError(f"graph {self.name}, input {name}: {error}") from None
        else:
            self._inputs[name] = Port(name, port.modality)
        return Output(name)

    def add(self, name: str, tool: Callable, options: NodeOptions | None = None, /, **given: Given) -> Node:
        """Add a call of a tool: its input ports are given sources, or lists of them, its settings plain values.

        `options` are `retries`, `timeout`, `fallback`, `seed` and `each`; CardError for any other. What `given` names
        and its types are checked by `build`.
        """
        self._free(name)
        for key in options or ():
            if key not in NodeOptions.__annotations__:
                fix = nearest(key, NodeOptions.__annotations__, f"use {', '.join(NodeOptions.__annotations__)}")
                raise CardError(f"graph {self.name}, node {name}: there is no option {key!r}; {fix}")
        full, card = self._tool(tool)
        inputs: dict[str, Source | tuple[Source, ...]] = {}
        settings: dict[str, Scalar] = {}
        for key, value in given.items():
            if isinstance(value, Output):
                inputs[key] = value._source
            elif isinstance(value, list | tuple):
                inputs[key] = tuple([item._source if isinstance(item, Output) else item for item in value])
            elif isinstance(value, str) and (card is None or card.input(key) is not None):
                inputs[key] = value
            else:
                settings[key] = value  # type: ignore[assignment]  # the rest of the union; the check looks at it
        if options:
            fallback = tuple([self._tool(item)[0] for item in options.get("fallback", ())])
            rest = options.get("retries", 0), options.get("timeout"), fallback, options.get("seed"), options.get("each")
            self._nodes[name] = NodeSpec(full, inputs, settings, *rest)
        else:
            self._nodes[name] = NodeSpec(full, inputs, settings)
        return Node(name, card)

    def output(self, name: str, source: Output | Source) -> None:
        """Name an output of the graph."""
        if name in self._outputs:
            raise CardError(f"graph {self.name} has an output {name!r} already; give this one another name")
        self._outputs[name] = source._source if isinstance(source, Output) else source

    def build(self) -> GraphSpec:
        """The graph, checked; GraphError lists all its faults."""
        return self.checked().spec

    def checked(self) -> CheckedGraph:
        """The graph, checked, as an engine takes it."""
        return self.library.checked(self._spec())

    def _spec(self) -> GraphSpec:
        inputs, nodes, outputs = dict(self._inputs), dict(self._nodes), dict(self._outputs)
        return GraphSpec(self.name, inputs, nodes, outputs, self.doc, self.lossy)

    def _free(self, name: str) -> None:
        if name in self._inputs or name in self._nodes:
            raise CardError(f"graph {self.name} has an input or node {name!r} already; give this one another name")

    def _tool(self, tool: Callable) -> tuple[str, Card | None]:
        """The full name under which the tool is saved, and its card; a name that is not found is left to the check."""
        key: object = tool if isinstance(tool, str) else id(tool)
        if key not in self._found:
            self._found[key] = tool, *(self._look_up(tool) if isinstance(tool, str) else self._join(tool))
        _, name, card = self._found[key]
        return name, card

    def _look_up(self, name: str) -> tuple[str, Card | None]:
        try:
            found = self.library.find(name)
        except RegistryError:
            return name, None
        full = found.name if isinstance(found, Card) else f"{found.name}.v1"
        self._named[full] = self._meaning(full)
        return full, found if isinstance(found, Card) else None

    def _join(self, tool: ToolType | GraphSpec | OwnGraph) -> tuple[str, Card | None]:
        if isinstance(tool, GraphSpec):
            join_spec(self.library, tool)
            found: tuple[str, Card | None] = f"{tool.name}.v1", None
        elif isinstance(tool, OwnGraph):
            join_graph(self.library, tool)
            found = f"{tool.spec.name}.v1", None
        else:
            join_tool(self.library, tool)
            found = tool.card.name, tool.card
        for name, before in self._named.items():
            if self._meaning(name) != before:
                raise CardError(
                    f"graph {self.name}: a node calls {name} by its name, and now another {name} came; "
                    f"give one of them a name of its own"
                )
        return found

    def _meaning(self, name: str) -> ToolType | GraphSpec | None:
        return self.registry.get(name) or self.library.spec(name)
