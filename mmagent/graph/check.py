"""The one check of a graph: a pure function from a spec and the cards it names to a graph that can run.

It loads no tool and runs none. Every fault is found before any is raised.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import replace

from mmagent.card import Port
from mmagent.errors import GraphError
from mmagent.graph.advice import nearest
from mmagent.graph.call import check_call
from mmagent.graph.checked import INPUT, CheckedGraph, Origin
from mmagent.graph.nested import dissolve
from mmagent.graph.order import order
from mmagent.graph.spec import GraphSpec, Source
from mmagent.graph.work import Catalog, ToolCard, Value, Work
from mmagent.media import MODALITIES

_NAME = re.compile(r"[\w-][\w~-]*")  # no slash, which stands in the names of nodes of graphs within the graph
_KEBAB = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def check(spec: GraphSpec, library: Catalog, wanted: Collection[str] | None = None) -> CheckedGraph:
    """The graph flat, typed and in order, ready to plan; GraphError carries every fault that it has.

    With `wanted`, only what those outputs need is checked and kept; without, a node that no output needs is a
    fault. An input that nothing kept needs becomes optional. On an edge that does not fit, registered
    converters are inserted, lossy ones only where the graph says `lossy: allow`, as nodes named
    `<source>~<tool>`. Graphs used as tools are dissolved into nodes named `outer/inner`.
    """
    return _run(Work(spec, library, wanted, ()))


def _run(work: Work) -> CheckedGraph:
    spec = work.spec
    _check_names(work)
    outputs = _outputs(work)
    for name, port in spec.inputs.items():
        work.values[name] = Value((Origin(INPUT, name),), port, port.optional)
    for name in _order(work, outputs.values()):
        node = spec.nodes[name]
        tool = work.tool(node.tool, name)
        if isinstance(tool, ToolCard):
            check_call(work, name, node, tool)
        elif tool is None:
            work.values[name] = None
        else:
            dissolve(work, name, node, tool, _run)
    ends: dict[str, Origin] = {}
    ports: dict[str, Port] = {}
    for name, source in outputs.items():
        value = work.value(source, "outputs", name)
        if value is None:
            continue
        if len(value.origins) != 1:
            work.fault("outputs", name, "one source", f"{len(value.origins)} sources through {source}", "name one")
        ends[name] = value.origins[0]
        ports[name] = replace(value.port, name=name, optional=value.absent)
    _check_modalities(work)  # last, because a tool's file may have registered them
    if work.faults:
        raise GraphError(work.place, work.faults)
    return CheckedGraph(spec, _inputs(work, ends.values()), tuple(work.nodes), ends, ports)


def _check_names(work: Work) -> None:
    spec = work.spec
    if not _KEBAB.fullmatch(spec.name):
        work.fault("graph", "", "a kebab-case name", repr(spec.name), "name it like describe-picture")
    named = [(name, "", name) for name in (*spec.inputs, *spec.nodes)]
    named += [("outputs", name, name) for name in spec.outputs]
    for node, place, name in named:
        if not _NAME.fullmatch(name):
            work.fault(node, place, "a name of letters, digits, -, _ and ~", repr(name), "rename it")
    for name in spec.inputs.keys() & spec.nodes.keys():
        work.fault(name, "", "a name of its own", "the name of an input too", "rename the node")
    for name, port in spec.inputs.items():
        if port.variable is not None:
            work.fault("inputs", name, "one modality", f"the variable {port.variable}", f"say {port.modality}")


def _check_modalities(work: Work) -> None:
    for name, port in work.spec.inputs.items():
        if port.modality not in MODALITIES and port.modality != "any":
            known = sorted(MODALITIES)
            fix = nearest(port.modality, known, f"use one of {', '.join(known)}")
            work.fault("inputs", name, "a registered modality", port.modality, fix)


def _outputs(work: Work) -> Mapping[str, Source]:
    outputs = work.spec.outputs
    if not outputs:
        work.fault("outputs", "", "at least one output", "none", "name what the graph is to give")
    if work.wanted is None:
        return outputs
    for name in work.wanted:
        if name not in outputs:
            fix = nearest(name, outputs, f"ask for one of {', '.join(outputs) or 'none'}")
            work.fault("outputs", name, "an output of the graph", "no such output", fix)
    return {name: source for name, source in outputs.items() if name in work.wanted}


def _order(work: Work, ends: Collection[Source]) -> list[str]:
    nodes = work.spec.nodes
    found, circles = order(nodes, ends, work.node_of)
    for circle in circles:
        first, last = circle.nodes[0], circle.nodes[-1]
        # a node follows what it needs, so the ring is told in the direction in which values would flow
        ring = " → ".join((first, *reversed(circle.nodes)))
        work.fault(last, circle.port, "no cycle", ring, f"take {first} from port {circle.port} of {last}")
    if work.wanted is None and len(found) < len(nodes):
        for name in nodes.keys() - set(found):
            work.fault(
                name, "", "a node that an output needs", "an unreachable node", f"add an output {name}, or drop it"
            )
    return found


def _inputs(work: Work, ends: Collection[Origin]) -> dict[str, Port]:
    """The inputs, those that nothing needs made optional."""
    used = {origin.port for origin in ends if origin.node == INPUT}
    for node in work.nodes:
        for edge in node.edges:
            for origin in edge.origins:
                if origin.node == INPUT:
                    used.add(origin.port)
    return {
        name: port if port.optional or name in used else replace(port, optional=True)
        for name, port in work.inputs.items()
    }
