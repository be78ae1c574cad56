"""A graph used as a tool: checked by itself, then dissolved into nodes named `outer/inner`.

It is checked against the types it declares, not against what happens to be connected, so that it means the same
wherever it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from mmagent.errors import GraphError
from mmagent.graph.call import check_inputs
from mmagent.graph.checked import INPUT, CheckedGraph, Edge, Origin
from mmagent.graph.spec import GraphSpec, NodeSpec, Source
from mmagent.graph.work import Value, Work


def dissolve(work: Work, name: str, node: NodeSpec, inner: GraphSpec, run: Callable[[Work], CheckedGraph]) -> None:
    """Check the graph that `node` calls and add its nodes to `work`; its faults become this graph's."""
    work.values[name] = None
    if any(inner.without_origin() == outer.without_origin() for outer in work.inside):
        circle = " → ".join((*(outer.name for outer in work.inside), inner.name))
        work.fault(name, "", "a graph that does not contain itself", circle, f"take node {name} out")
        return
    if node.settings or node.retries or node.timeout or node.fallback or node.each or node.seed is not None:
        got = "settings, each, retries, timeout, fallback or seed"
        work.fault(name, "", "a graph with in alone", got, f"give them to the nodes in {inner.name}")
    try:
        checked = run(Work(inner, work.library, _used(work, name, inner), work.inside))
    except GraphError as error:
        work.faults += [fault for fault in error.faults if fault not in work.faults]
        return
    del work.values[name]
    given = _enter(work, name, node, checked)
    absent = any(given[key].absent for key, port in checked.inputs.items() if not port.optional)
    for item in checked.nodes:
        edges = [Edge(edge.port, tuple(_moved(edge.origins, name, given))) for edge in item.edges]
        work.nodes.append(replace(item, name=f"{name}/{item.name}", edges=tuple(edges)))
    for output, origin in checked.outputs.items():
        port = checked.output_ports[output]
        value = Value(tuple(_moved((origin,), name, given)), port, port.optional or absent)
        if origin.node == INPUT and port.many and not given[origin.port].port.many:
            got = f"{given[origin.port].port}, which output {output} passes on"
            work.fault(name, origin.port, str(port), got, "connect a list")
        work.values[name if len(inner.outputs) == 1 else f"{name}.{output}"] = value


def _enter(work: Work, name: str, node: NodeSpec, checked: CheckedGraph) -> dict[str, Value]:
    """What feeds each input of the inner graph; an optional one left open becomes an input `outer/inner`."""
    fed, _ = check_inputs(work, name, replace(node, each=None), list(checked.inputs.values()))
    given = {port.name: value for port, value in fed}
    for key, port in checked.inputs.items():
        if key not in given:
            path = f"{name}/{key}"
            given[key] = Value((Origin(INPUT, path),), port, True)
            if port.optional:
                work.inputs[path] = replace(port, name=path)
    return given


def _moved(origins: tuple[Origin, ...], outer: str, given: dict[str, Value]) -> Iterator[Origin]:
    for origin in origins:
        if origin.node == INPUT:
            yield from given[origin.port].origins
        else:
            yield Origin(f"{outer}/{origin.node}", origin.port)


def _used(work: Work, name: str, inner: GraphSpec) -> set[str] | None:
    """Which outputs of the inner graph are read at all; None for all of them, also where none is read by name."""
    head = f"{name}."
    read = {source.removeprefix(head) for source in _sources(work.spec) if source.startswith(head)}
    return read & inner.outputs.keys() or None


def _sources(spec: GraphSpec) -> Iterator[Source]:
    yield from spec.outputs.values()
    for node in spec.nodes.values():
        for source in node.inputs.values():
            yield from (source,) if isinstance(source, str) else source
