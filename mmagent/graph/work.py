"""A check on its way: what is known of a graph so far, and what is wrong with it. Shared by the parts of the check."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

from mmagent.card import Card, Port, Scalar
from mmagent.errors import Fault, GraphError, MMAgentError, RegistryError, UnknownName
from mmagent.graph.advice import nearest
from mmagent.graph.checked import CheckedNode, Origin
from mmagent.graph.ports import resolve
from mmagent.graph.routes import Route
from mmagent.graph.spec import GraphSpec, Source


class Catalog(Protocol):
    """Where the check looks names up."""

    def find(self, name: str) -> Card | GraphSpec:
        """The tool's card, or the graph, of that name; RegistryError or GraphError if there is none that works."""
        ...

    def card_for(self, name: str, settings: Mapping[str, Scalar]) -> Card:
        """The card that the tool of that name has with these settings, all of them; MMAgentError if it takes none such."""
        ...

    def cards(self) -> Sequence[Card]:
        """The tools that may be inserted as converters."""
        ...


class Value(NamedTuple):
    """What a source stands for: its origins (several for a list made of them), its type, whether it may be absent."""

    origins: tuple[Origin, ...]
    port: Port
    absent: bool


class ToolCard:
    """What the check asks of one tool's card, worked out once for all nodes that use it.

    `plain`: no port has a variable or a `$setting`. `defaults` are its settings where none is required.
    """

    __slots__ = ("card", "defaults", "only", "plain")

    def __init__(self, card: Card) -> None:
        self.card = card
        self.only = card.outputs[0].name if len(card.outputs) == 1 else None
        self.plain = all(resolve(port, {}) is port for port in (*card.inputs, *card.outputs))
        required = any(setting.required for setting in card.settings)
        self.defaults = None if required else {setting.name: setting.default for setting in card.settings}


class Work:
    """One graph being checked.

    `values` holds every source by the text that names it: an input, a node with one output, `node.output` of one
    with several. None stands for a node with a fault of its own.
    """

    def __init__(
        self, spec: GraphSpec, library: Catalog, wanted: Collection[str] | None, inside: tuple[GraphSpec, ...]
    ) -> None:
        self.spec, self.library, self.wanted = spec, library, wanted
        self.inside = (*inside, spec)
        self.place = spec.origin or spec.name
        self.faults: list[Fault] = []
        self.tools: dict[str, ToolCard | GraphSpec | None] = {}
        self.missing: dict[str, RegistryError] = {}
        self.shaped: dict[tuple[object, ...], ToolCard] = {}
        self.values: dict[Source, Value | None] = {}
        self.inputs: dict[str, Port] = dict(spec.inputs)
        self.nodes: list[CheckedNode] = []
        self.routes: dict[tuple[str, str], Route | None] = {}
        self.inserted: dict[tuple[tuple[Origin, ...], str, tuple[tuple[str, Scalar], ...], bool], Source] = {}

    def fault(self, node: str, port: str, expected: str, got: str, fix: str) -> None:
        """Note a fault of this graph."""
        self.faults.append(Fault(self.place, node, port, expected, got, fix))

    def node_of(self, source: Source) -> str | None:
        """The node that a source names, if it names one."""
        nodes: Mapping[str, object] = self.spec.nodes
        if source in nodes:
            return source
        name = source.rpartition(".")[0]
        return name if name in nodes else None

    def tool(self, name: str, node: str, port: str = "") -> ToolCard | GraphSpec | None:
        """The tool or graph that a node names; a fault and None if there is none."""
        if name not in self.tools:
            self.tools[name] = None
            try:
                found = self.library.find(name)
                self.tools[name] = ToolCard(found) if isinstance(found, Card) else found
            except RegistryError as error:
                self.missing[name] = error
            except GraphError as error:
                self.faults += error.faults
        if name in self.missing:
            reason, _, fix = str(self.missing[name]).partition("; ")
            if isinstance(self.missing[name], UnknownName):
                self.fault(node, port, "the name of a tool or graph", repr(name), fix)
            else:
                self.fault(node, port, f"{name} in working order", reason, fix or "mend its file")
        return self.tools[name]

    def tool_for(self, tool: ToolCard, settings: Mapping[str, Scalar], node: str, port: str = "") -> ToolCard:
        """The tool as it is with these settings; as it is without any, and a fault, if it does not take them."""
        if len(settings) != len(tool.card.settings) or any(
            settings[setting.name] is None and not setting.optional for setting in tool.card.settings
        ):
            return tool  # one is missing or unknown, which has been noted
        key = (tool.card.name, *settings.items())
        if key not in self.shaped:
            try:
                self.shaped[key] = ToolCard(self.library.card_for(tool.card.name, settings))
            except MMAgentError as error:
                reason, _, fix = str(error).partition("; ")
                self.fault(node, port, f"{tool.card.name} with settings that it takes", reason, fix or "mend them")
                self.shaped[key] = tool
        return self.shaped[key]

    def value(self, source: Source, node: str, port: str) -> Value | None:
        """What a source stands for; None, and a fault unless it has been noted, for one that stands for nothing."""
        try:
            return self.values[source]
        except KeyError:
            pass
        owner = self.node_of(source)
        if owner is None:
            known = [*self.spec.inputs, *self.spec.nodes]
            fix = nearest(source.partition(".")[0], known, f"use one of {', '.join(known) or 'none'}")
            self.fault(node, port, "an input or a node of the graph", f"the source {source}", fix)
            return None
        only = self.values.get(owner)
        if only is not None and source == f"{owner}.{only.port.name}":
            return self.values.setdefault(source, only)
        made = [f"{owner}.{only.port.name}"] if only is not None else []
        made += [text for text, value in self.values.items() if value and text.startswith(f"{owner}.")]
        if made:  # otherwise the owner has a fault of its own, or lies on a cycle
            all_of_them = f"say {' or '.join(made)}"
            fix = all_of_them if source == owner else nearest(source, made, all_of_them)
            self.fault(node, port, f"an output of node {owner}", f"{source}, which is not one", fix)
        return None
