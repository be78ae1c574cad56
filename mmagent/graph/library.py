"""The library: tools of a registry and graphs of the shelves, found by name; and graphs checked against them."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mmagent import shelf
from mmagent.card import Card, Scalar
from mmagent.errors import CardError, MMAgentError, UnknownName
from mmagent.graph.check import check
from mmagent.graph.checked import CheckedGraph
from mmagent.graph.spec import GraphSpec, NodeSpec
from mmagent.registry import Registry
from mmagent.registry import registry as shared
from mmagent.tool import ToolType

GraphLike = str | Path | GraphSpec
"""A graph by name, by file (a Path, or a str that ends in .yaml or .yml), or itself."""


@dataclass(frozen=True, slots=True)
class GraphListing:
    """One graph of the library. `origin` is its file; `broken` says why it cannot be used, if it cannot."""

    name: str
    origin: str
    spec: GraphSpec | None = None
    broken: str = ""


class Library:
    """Tools and graphs by name. A tool hides a graph of the same name; a graph is a tool named `<graph>.v1`."""

    def __init__(self, registry: Registry | None = None) -> None:
        self.registry = registry if registry is not None else shared
        self._graphs: dict[str, GraphSpec] = {}
        self._read: dict[Path, tuple[tuple[int, int], GraphSpec]] = {}
        self._checked: dict[str, _Kept] = {}

    def add(self, *graphs: GraphSpec) -> None:
        """Add graphs made in Python; they hide those of the shelves."""
        self._graphs.update((graph.name, graph) for graph in graphs)

    @property
    def added(self) -> tuple[GraphSpec, ...]:
        """The graphs that were made in Python."""
        return tuple(self._graphs.values())

    def extended(self, *tools: ToolType) -> Library:
        """A library with the same additions and these tools; adding to it leaves this one as it is."""
        other = Library(self.registry.copy())
        other.registry.add(*tools)
        other.add(*self.added)
        return other

    def find(self, name: str) -> Card | GraphSpec:
        """The card of the tool, or the graph, of that name; UnknownName lists the nearest names of both.

        A file that cannot be used raises what is wrong with it: BrokenTool or GraphError.
        """
        tool = self.registry.get(name)
        if tool is not None:
            return tool.card
        spec = self.spec(name)
        if spec is not None:
            return spec
        try:
            return self.registry.card(name)  # tells a broken file from an unknown name
        except UnknownName:
            raise self._unknown(name) from None

    def card(self, name: str) -> Card:
        """The card of a tool or of a graph; raises as `find` and `checked` do."""
        found = self.find(name)
        return found if isinstance(found, Card) else card_of(self.checked(found))

    def card_for(self, name: str, settings: Mapping[str, Scalar]) -> Card:
        """The card that the tool of that name has with these settings, all of them; raises what is wrong with them."""
        tool = self.registry.find(name)
        try:
            return tool.card_for(settings)
        except MMAgentError:
            raise
        except Exception as error:  # the work of the tool's author, on files of anybody's
            raise CardError(f"{name} cannot tell its card: {type(error).__name__}: {error}") from error

    def cards(self, *, graphs: bool = False) -> list[Card]:
        """The cards of every tool that can be loaded, by name; with `graphs`, then those of every graph that checks."""
        found = self.registry.cards()
        if graphs:
            names = {card.name for card in found}
            known = [self.card(item.name) for item in self.graphs() if not item.broken]
            found += [card for card in known if card.name not in names]
        return found

    def spec(self, name: str) -> GraphSpec | None:
        """The graph of that name, or None; GraphError if its file is not a graph."""
        short = name.removesuffix(".v1")
        if short in self._graphs:
            return self._graphs[short]
        path = shelf.graph_files().get(short)
        return self._open(path) if path is not None else None

    def graphs(self) -> list[GraphListing]:
        """Every graph by name, those that cannot be used with the reason why."""
        files = {name: str(path) for name, path in shelf.graph_files().items()}
        names = sorted({*files, *self._graphs})
        return [self._listing(name, files.get(name, "added in Python")) for name in names]

    def checked(self, graph: GraphLike, wanted: Collection[str] | None = None) -> CheckedGraph:
        """The graph of that name, file or spec, checked; kept until the graph or a tool that it uses changes.

        GraphError carries its faults, UnknownName the nearest names.
        """
        spec = graph if isinstance(graph, GraphSpec) else self.load(graph)
        key = "\0".join((spec.name, *sorted(wanted))) if wanted is not None else spec.name
        kept = self._checked.get(key)
        if kept is not None and kept.checked.spec == spec and kept.holds(self):
            return kept.checked
        witness = _Witness(self)
        made = check(spec, witness, wanted)
        self._checked[key] = _Kept(made, witness.found, witness.shaped, witness.offered)
        return made

    def load(self, graph: str | Path) -> GraphSpec:
        """The graph of that name or file; UnknownName if there is none of that name, GraphError if it is no graph."""
        if isinstance(graph, Path) or graph.endswith(shelf.GRAPH_ENDINGS):
            return self._open(Path(graph))
        spec = self.spec(graph)
        if spec is None:
            raise self._unknown(graph, "graph")
        return spec

    def pin(self, spec: GraphSpec) -> GraphSpec:
        """The graph with the full name of every tool, as it is saved; UnknownName for one that is not there."""
        return replace(spec, nodes={name: self._pinned(node) for name, node in spec.nodes.items()})

    def _pinned(self, node: NodeSpec) -> NodeSpec:
        return replace(node, tool=self._full(node.tool), fallback=tuple(map(self._full, node.fallback)))

    def _full(self, name: str) -> str:
        found = self.find(name)
        return found.name if isinstance(found, Card) else f"{found.name}.v1"

    def _open(self, path: Path) -> GraphSpec:
        from mmagent.graph import yaml

        try:
            status = path.stat()
        except OSError:
            return yaml.read(path)  # which says what is wrong
        stamp = status.st_mtime_ns, status.st_size
        if path not in self._read or self._read[path][0] != stamp:
            self._read[path] = stamp, yaml.read(path)
        return self._read[path][1]

    def _listing(self, name: str, origin: str) -> GraphListing:
        try:
            spec = self.spec(name)
            if spec is not None:
                self.checked(spec)
            return GraphListing(name, origin, spec)
        except MMAgentError as error:
            return GraphListing(name, origin, broken=str(error))

    def _unknown(self, name: str, kind: str = "tool or graph") -> UnknownName:
        names = {*shelf.graph_files(), *self._graphs}
        if kind != "graph":
            names |= {card.short for card in self.cards()}
        near = difflib.get_close_matches(name, sorted(names), 3)
        fix = f"did you mean {' or '.join(near)}?" if near else "`mmagent tools list` and `graph list` show them all"
        return UnknownName(f"no {kind} {name!r} is on a shelf; {fix}")


class _Witness:
    """A library that remembers what it was asked, so that a kept result can be told from a stale one."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self.found: dict[str, Card | GraphSpec] = {}
        self.shaped: list[tuple[str, Mapping[str, Scalar], Card]] = []
        self.offered: Sequence[Card] | None = None

    def find(self, name: str) -> Card | GraphSpec:
        self.found[name] = found = self.library.find(name)
        return found

    def card_for(self, name: str, settings: Mapping[str, Scalar]) -> Card:
        card = self.library.card_for(name, settings)
        self.shaped.append((name, settings, card))
        return card

    def cards(self) -> Sequence[Card]:
        if self.offered is None:
            self.offered = self.library.cards()
        return self.offered


@dataclass(frozen=True, slots=True)
class _Kept:
    checked: CheckedGraph
    found: dict[str, Card | GraphSpec]
    shaped: list[tuple[str, Mapping[str, Scalar], Card]]
    offered: Sequence[Card] | None

    def holds(self, library: Library) -> bool:
        """Whether the library would answer as it did."""
        try:
            return (
                all(library.find(name) == item for name, item in self.found.items())
                and all(library.card_for(name, settings) == card for name, settings, card in self.shaped)
                and (self.offered is None or self.offered == library.cards())
            )
        except MMAgentError:
            return False


def card_of(graph: CheckedGraph) -> Card:
    """The card of a graph as a tool: its inputs and outputs, the cost of its longest path, the needs of all nodes.

    It is lossy if a node of it is, and a reasoner if one is.
    """
    ready: dict[str, float] = {}
    for node in graph.nodes:
        before = (ready.get(origin.node, 0.0) for edge in node.edges for origin in edge.origins)
        ready[node.name] = node.card.cost + max(before, default=0.0)
    cards = [node.card for node in graph.nodes]
    summary = inspect.cleandoc(graph.spec.doc).split("\n\n")[0].replace("\n", " ")
    return Card(
        name=f"{graph.spec.name}.v1",
        kind="reasoner" if any(card.kind == "reasoner" for card in cards) else "converter",
        inputs=tuple(graph.inputs[name] for name in graph.spec.inputs),
        outputs=tuple(graph.output_ports.values()),
        doc=summary,
        cost=max((ready.get(origin.node, 0.0) for origin in graph.outputs.values()), default=0.0),
        memory=max((card.memory for card in cards), default=0),
        needs=tuple(dict.fromkeys(need for card in cards for need in card.needs)),
        lossy=any(card.lossy for card in cards),
        cacheable=all(card.cacheable for card in cards),
    )
