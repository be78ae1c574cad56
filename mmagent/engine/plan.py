"""A checked graph compiled for the engine: values in numbered slots, nodes that know who waits for them.

A plan is immutable and belongs to no run; everything that one call of a node needs and that no call changes
is worked out here, so that running costs little. Compiling costs the same for every node.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from mmagent.card import Port
from mmagent.engine.ports import Gate
from mmagent.engine.variant import Variant, Variants
from mmagent.errors import Fault, GraphError
from mmagent.graph.checked import INPUT, CheckedGraph, CheckedNode, Edge, Origin

if TYPE_CHECKING:
    from mmagent.graph.library import Library
    from mmagent.registry import Registry


@dataclass(frozen=True, slots=True)
class Take:
    """Where an input port's value comes from. For a `list` port, `listed` marks the origins that hold lists themselves."""

    name: str
    gate: Gate
    slots: tuple[int, ...]
    listed: tuple[bool, ...]


Short = tuple[tuple[str, str, bool, Any, set[type]], ...]
"""What a shortcut takes: (port, what leads it in the recipe, whether it is a list, its slot or slots, what fits)."""


@dataclass(frozen=True, slots=True)
class NodePlan:
    """One node.

    `slots` are those of its outputs, `successors` the nodes that wait for it, `groups` the nested graphs that it
    lies in, outermost first. `own` is the first of its `variants`. `short` is there if a shortcut can run it.
    """

    index: int
    name: str
    own: Variant
    variants: tuple[Variant, ...]
    takes: tuple[Take, ...]
    slots: tuple[int, ...]
    successors: tuple[int, ...]
    groups: tuple[int, ...]
    retries: int
    timeout: float | None
    seed: int | None
    each: str | None
    short: Short | None

    @property
    def tool(self) -> str:
        """The name of its own tool."""
        return self.own.card.name


@dataclass(frozen=True, slots=True)
class Plan:
    """A graph ready to run. `inputs` are slots with their gates, `outputs` slots with the ports they fill.

    `needs` are the slots that something reads, `first` the nodes that wait for no other. `registry` is where its
    tools were found, and where those of the graphs that its nodes splice in are looked for.
    """

    checked: CheckedGraph
    registry: Registry
    nodes: tuple[NodePlan, ...]
    inputs: Mapping[str, tuple[int, Gate]]
    outputs: Mapping[str, tuple[int, Port]]
    needs: frozenset[int]
    size: int
    groups: tuple[str, ...]
    first: tuple[int, ...]
    waits: tuple[int, ...]

    @property
    def name(self) -> str:
        """The graph's name."""
        return self.checked.spec.name


@runtime_checkable
class OwnPlan(Protocol):
    """A graph that makes its plan itself, with the tools that it carries, as `Graph` does."""

    @property
    def library(self) -> Library:
        """Where its tools are found."""
        ...

    def plan(self, wanted: Collection[str] | None = None) -> Plan:
        """It, or the part of it that the `wanted` outputs need, compiled."""
        ...


def compile(checked: CheckedGraph, registry: Registry, wanted: Collection[str] | None = None) -> Plan:
    """The plan of a checked graph, or of the part of it that the `wanted` outputs need.

    UnknownName or BrokenTool when a tool is gone since the check; GraphError for an unknown wanted output.
    """
    outputs = _wanted(checked, wanted)
    nodes = _needed(checked, outputs.values()) if wanted is not None else checked.nodes
    slots = {(INPUT, name): index for index, name in enumerate(checked.inputs)}
    listed = {slots[INPUT, name] for name, port in checked.inputs.items() if port.many}
    for node in nodes:
        for port in node.outputs:
            if port.many:
                listed.add(len(slots))
            slots[node.name, port.name] = len(slots)
    number = {node.name: index for index, node in enumerate(nodes)}
    waits: list[int] = []
    successors: list[list[int]] = [[] for _ in nodes]
    for index, node in enumerate(nodes):
        before = {number[origin.node] for edge in node.edges for origin in edge.origins if origin.node != INPUT}
        for other in before:
            successors[other].append(index)
        waits.append(len(before))
    making = _Making(slots, listed, Variants(registry))
    plans = tuple([making.node(index, node, tuple(successors[index])) for index, node in enumerate(nodes)])
    ends = {name: slots[origin.node, origin.port] for name, origin in outputs.items()}
    return Plan(
        checked,
        registry,
        plans,
        {name: (slots[INPUT, name], Gate(port)) for name, port in checked.inputs.items()},
        {name: (slot, checked.output_ports[name]) for name, slot in ends.items()},
        frozenset([*ends.values(), *(slot for node in plans for take in node.takes for slot in take.slots)]),
        len(slots),
        tuple(making.groups),
        tuple([index for index, count in enumerate(waits) if count == 0]),
        tuple(waits),
    )


class _Making:
    """What the nodes of one plan share while it is made: slots, those that hold lists, gates, tools, groups."""

    def __init__(self, slots: Mapping[tuple[str, str], int], listed: Collection[int], variants: Variants) -> None:
        self._slots, self._listed, self._variants = slots, listed, variants
        self.groups: dict[str, int] = {}

    def node(self, index: int, node: CheckedNode, successors: tuple[int, ...]) -> NodePlan:
        spec, variants = node.spec, self._variants.of(node)
        takes = [self._take(edge) for edge in node.edges]
        if len(takes) > 1:
            takes.sort(key=lambda take: take.name)  # the order of a recipe
        groups: tuple[int, ...] = ()
        if "/" in node.name:
            parts = node.name.split("/")
            paths = ("/".join(parts[: end + 1]) for end in range(len(parts) - 1))
            groups = tuple([self.groups.setdefault(path, len(self.groups)) for path in paths])
        return NodePlan(
            index,
            node.name,
            variants[0],
            variants,
            tuple(takes),
            tuple([self._slots[node.name, port.name] for port in node.outputs]),
            successors,
            groups,
            spec.retries,
            spec.timeout,
            spec.seed,
            spec.each,
            _short(node, variants[0], takes),
        )

    def _take(self, edge: Edge) -> Take:
        slots = tuple([self._slots[origin.node, origin.port] for origin in edge.origins])
        listed = tuple([slot in self._listed for slot in slots]) if edge.port.many else ()
        return Take(edge.port.name, self._variants.gate(edge.port), slots, listed)


def _short(node: CheckedNode, own: Variant, takes: Collection[Take]) -> Short | None:
    """What a shortcut takes, unless the node asks for more than to call a plain inline function on media."""
    spec = node.spec
    if not own.plain or spec.retries or spec.timeout or spec.fallback or spec.each:
        return None
    if any(not take.slots or True in take.listed for take in takes):
        return None
    return tuple([
        (take.name, f"\0{take.name}=", True, take.slots, take.gate.types)
        if take.gate.port.many
        else (take.name, f"\0{take.name}=", False, take.slots[0], take.gate.types)
        for take in takes
    ])  # fmt: skip


def _wanted(checked: CheckedGraph, wanted: Collection[str] | None) -> dict[str, Origin]:
    if wanted is None:
        return dict(checked.outputs)
    have = ", ".join(checked.outputs)
    faults = [
        Fault(checked.spec.name, "outputs", name, f"one of {have}", "no such output", "ask for one that it has")
        for name in wanted
        if name not in checked.outputs
    ]
    if faults:
        raise GraphError(checked.spec.name, faults)
    return {name: origin for name, origin in checked.outputs.items() if name in wanted}


def _needed(checked: CheckedGraph, origins: Collection[Origin]) -> tuple[CheckedNode, ...]:
    """The nodes that those origins depend on, in the graph's order."""
    needed = {origin.node for origin in origins}
    for node in reversed(checked.nodes):
        if node.name in needed:
            needed.update(origin.node for edge in node.edges for origin in edge.origins)
    return tuple(node for node in checked.nodes if node.name in needed)
