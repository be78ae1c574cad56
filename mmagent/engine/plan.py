"""A checked graph compiled for the engine: values in numbered slots, nodes that know who waits for them.

A plan is immutable and belongs to no run; everything that one call of a node needs and that no call changes
is worked out here, so that running costs little. Compiling costs the same for every node.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mmagent.card import Card, Port, Scalar
from mmagent.engine import keys
from mmagent.engine.ports import Gate
from mmagent.errors import Fault, GraphError
from mmagent.graph.checked import INPUT, CheckedGraph, CheckedNode, Origin

if TYPE_CHECKING:
    from mmagent.registry import Registry
    from mmagent.tool import ToolType

DISK_COST = 0.05
"""Seconds from which a call is dear enough for its result to be worth a file."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A tool that a node may call, its own or a fallback, with everything about it that is the same for each call.

    `function` is what to call if no instance has to be made for it. `run_settings` go to each call,
    `load_settings` to `make`. `prefix` begins its recipe keys, `code` is the digest of the tool's own
    code if its results are cached.
    """

    tool: ToolType
    card: Card
    settings: Mapping[str, Scalar]
    run_settings: Mapping[str, Scalar]
    load_settings: tuple[tuple[str, Scalar], ...]
    prefix: str
    code: str
    function: Any
    returns: tuple[Gate, ...]

    @property
    def cached(self) -> bool:
        """Whether its results may be given again."""
        return self.card.cacheable and not self.card.inline

    @property
    def stored(self) -> bool:
        """Whether its results are also kept on disk."""
        return self.cached and self.card.cost >= DISK_COST


@dataclass(frozen=True, slots=True)
class Take:
    """Where an input port's value comes from. `listed` marks the origins that hold lists themselves."""

    name: str
    gate: Gate
    slots: tuple[int, ...]
    listed: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class NodePlan:
    """One node. `simple` ones are plain inline functions of one output, `straight` is then what they
    take, and the fields after it say of the node's own tool what a call needs.

    `slots` are those of its outputs, `successors` the nodes that wait for it, `waits` the number of nodes that
    it waits for itself, `groups` the nested graphs that it lies in, outermost first.
    """

    index: int
    name: str
    variants: tuple[Variant, ...]
    takes: tuple[Take, ...]
    slots: tuple[int, ...]
    successors: tuple[int, ...]
    waits: int
    groups: tuple[int, ...]
    retries: int
    timeout: float | None
    seed: int | None
    each: str | None
    simple: bool
    straight: tuple[tuple[str, int, set[type]], ...]
    tool: str
    prefix: str
    function: Any
    settings: Mapping[str, Scalar]
    returns: set[type]
    output: str


@dataclass(frozen=True, slots=True)
class Plan:
    """A graph ready to run. `inputs` are slots with their gates, `outputs` slots with the ports they fill.

    `needs` are the slots that something reads, `first` the nodes that wait for no other.
    """

    checked: CheckedGraph
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


def compile(checked: CheckedGraph, registry: Registry, wanted: Collection[str] | None = None) -> Plan:
    """The plan of a checked graph, or of the part of it that the `wanted` outputs need.

    UnknownName or BrokenTool when a tool is gone since the check; GraphError for an unknown wanted output.
    """
    outputs = _wanted(checked, wanted)
    nodes = _needed(checked, outputs.values()) if wanted is not None else checked.nodes
    slots: dict[Origin, int] = {Origin(INPUT, name): index for index, name in enumerate(checked.inputs)}
    for node in nodes:
        for port in node.outputs:
            slots[Origin(node.name, port.name)] = len(slots)
    listed = _listed(checked, nodes)
    number = {node.name: index for index, node in enumerate(nodes)}
    successors: list[list[int]] = [[] for _ in nodes]
    groups: dict[str, int] = {}
    variants = _Variants(registry)
    waits = []
    for index, node in enumerate(nodes):
        before = {number[origin.node] for edge in node.edges for origin in edge.origins if origin.node != INPUT}
        for other in before:
            successors[other].append(index)
        waits.append(len(before))
    return Plan(
        checked,
        tuple(
            _node(index, node, variants.of(node), slots, listed, tuple(successors[index]), waits[index], groups)
            for index, node in enumerate(nodes)
        ),
        {name: (slots[Origin(INPUT, name)], Gate(port)) for name, port in checked.inputs.items()},
        {name: (slots[origin], checked.output_ports[name]) for name, origin in outputs.items()},
        frozenset(
            [slots[origin] for node in nodes for edge in node.edges for origin in edge.origins]
            + [slots[origin] for origin in outputs.values()]
        ),
        len(slots),
        tuple(groups),
        tuple(index for index, count in enumerate(waits) if count == 0),
        tuple(waits),
    )


def _node(
    index: int,
    node: CheckedNode,
    variants: tuple[Variant, ...],
    slots: Mapping[Origin, int],
    listed: Collection[Origin],
    successors: tuple[int, ...],
    waits: int,
    groups: dict[str, int],
) -> NodePlan:
    takes = tuple(
        Take(
            edge.port.name,
            Gate(edge.port),
            tuple(slots[origin] for origin in edge.origins),
            tuple(origin in listed for origin in edge.origins),
        )
        for edge in sorted(node.edges, key=lambda edge: edge.port.name)
    )
    spec, own = node.spec, variants[0]
    parts = node.name.split("/")
    paths = tuple(groups.setdefault("/".join(parts[: end + 1]), len(groups)) for end in range(len(parts) - 1))
    each = spec.each
    simple = (
        own.card.inline
        and own.function is not None
        and not (own.card.context or spec.retries or spec.timeout or spec.fallback or each)
        and len(node.outputs) == 1
        and not node.outputs[0].many
        and node.outputs[0].modality != "embedding"
        and not any(take.gate.port.many for take in takes)
    )
    return NodePlan(
        index=index,
        name=node.name,
        variants=variants,
        takes=takes,
        slots=tuple(slots[Origin(node.name, port.name)] for port in node.outputs),
        successors=successors,
        waits=waits,
        groups=paths,
        retries=spec.retries,
        timeout=spec.timeout,
        seed=spec.seed,
        each=each,
        simple=simple,
        straight=tuple((take.name, take.slots[0], take.gate.types) for take in takes) if simple else (),
        tool=own.card.name,
        prefix=own.prefix,
        function=own.function,
        settings=own.run_settings,
        returns=own.returns[0].types,
        output=own.returns[0].port.name,
    )


class _Variants:
    """Finds and prepares each tool once for a plan, however many nodes use it."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._tools: dict[str, ToolType] = {}
        self._made: dict[object, Variant] = {}

    def of(self, node: CheckedNode) -> tuple[Variant, ...]:
        """The node's own tool and its fallbacks, in order."""
        own = self._variant(node.card, node.settings, node.outputs, node.spec.each)
        if not node.fallbacks:
            return (own,)
        return (
            own,
            *(self._variant(item.card, item.settings, node.outputs, node.spec.each) for item in node.fallbacks),
        )

    def _find(self, name: str) -> ToolType:
        if name not in self._tools:
            self._tools[name] = self._registry.find(name)
        return self._tools[name]

    def _variant(
        self, card: Card, settings: Mapping[str, Scalar], outputs: tuple[Port, ...], each: str | None
    ) -> Variant:
        # With `each` the node's outputs are lists; what one call makes is as the card says.
        if each:
            own = {port.name: port for port in card.outputs}
            outputs = tuple(replace(out, many=own[out.name].many, optional=own[out.name].optional) for out in outputs)
        ports = outputs
        same = (
            card.name,
            tuple(sorted(settings.items())),
            ports if any(port.constraints for port in ports) else None,
            tuple((port.name, port.modality, port.many, port.optional) for port in ports),
        )
        key = (*same[:2], repr(same[2]), same[3])
        if key not in self._made:
            tool = self._find(card.name)
            at_load = {setting.name for setting in card.settings if setting.at == "load"}
            self._made[key] = Variant(
                tool,
                card,
                settings,
                {name: value for name, value in settings.items() if name not in at_load},
                tuple(sorted((name, value) for name, value in settings.items() if name in at_load)),
                keys.prefix(card, settings),
                keys.code_of(tool) if card.cacheable and not card.inline else "",
                _function(tool),
                tuple(map(Gate, ports)),
            )
        return self._made[key]


def _function(tool: ToolType) -> Any:
    """What to call of a plain function that may be called any number of times at once; None for all other tools."""
    plain = getattr(tool, "function", None)
    return plain if inspect.isfunction(plain) and tool.card.concurrency == "reentrant" else None


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


def _listed(checked: CheckedGraph, nodes: Collection[CheckedNode]) -> set[Origin]:
    found = {Origin(INPUT, name) for name, port in checked.inputs.items() if port.many}
    for node in nodes:
        found.update(Origin(node.name, port.name) for port in node.outputs if port.many or node.spec.each)
    return found
