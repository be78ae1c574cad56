"""One edge: whether a value may enter a port, and the converters that are inserted where it may not."""

from __future__ import annotations

from dataclasses import replace

from mmagent.card import Port
from mmagent.graph import advice
from mmagent.graph.checked import Origin
from mmagent.graph.ports import misfit, show_port
from mmagent.graph.routes import Route, routes
from mmagent.graph.spec import NodeSpec, Source
from mmagent.graph.work import ToolCard, Value, Work
from mmagent.media import MODALITIES, fits


def feed(work: Work, name: str, node: NodeSpec, port: Port) -> Value | None:
    """The value that enters `port`, in `node.inputs` for certain, converted if it has to be; None after a fault."""
    source = node.inputs[port.name]
    each = node.each == port.name
    target = replace(port, many=True) if each else port
    if not isinstance(source, str):
        return _several(work, source, target, name)
    value = work.value(source, name, port.name)
    if value is None:
        return None
    given = value.port
    if each and not given.many:
        work.fault(name, port.name, "a list, to run for each item", str(given), "drop each, or connect a list")
        return None
    # the common edge is decided here, without a call
    if given.modality == target.modality and given.many == target.many and not target.constraints:
        return value
    return fit(work, value, target, source, name)


def _several(work: Work, sources: tuple[Source, ...], target: Port, name: str) -> Value | None:
    """Several values as the items of one list port."""
    if not target.many:
        fix = f"connect one of them, or say each: {target.name}"
        work.fault(name, target.name, str(target), f"{len(sources)} sources", fix)
        return None
    origins: list[Origin] = []
    common: str | None = None
    for source in sources:
        value = work.value(source, name, target.name)
        fitted = value and fit(work, value, target, source, name)
        if fitted is None:
            continue
        origins += fitted.origins
        made = fitted.port.modality
        common = made if common is None else join(common, made) or target.modality
    return Value(tuple(origins), replace(target, modality=common or target.modality), False)


def fit(work: Work, value: Value, target: Port, source: Source, name: str) -> Value | None:
    """The value as it may enter `target`: itself, or what inserted converters make of it; None after a fault."""
    trouble = misfit(value.port, target)
    if not trouble:
        return value
    got = f"{value.port} from {source}"
    if trouble == "list":
        work.fault(name, target.name, str(target), got, advice.for_list(work, value, target))
        return None
    route = _route(work, value.port, target)
    if route is not None and (not route.lossy or work.spec.lossy):
        return _insert(work, route, value, source)
    fix = advice.for_misfit(work, value, target, source, name, route)
    work.fault(name, target.name, str(target), got, fix)
    return None


def join(one: str, other: str) -> str | None:
    """The narrowest modality that both fit, or None when only `any` would do.

    >>> join("speech", "audio"), join("speech", "image")
    ('audio', None)
    """
    name: str | None = one
    while name is not None:
        if fits(other, name):
            return name
        known = MODALITIES.get(name)
        name = known.refines if known is not None else None
    return "any" if other == "any" else None


def _route(work: Work, given: Port, target: Port) -> Route | None:
    key = show_port(given), show_port(target)
    if key not in work.routes:
        best = routes(work.library.cards(), given, target, limit=1, each=given.many)
        work.routes[key] = best[0] if best else None
    return work.routes[key]


def _insert(work: Work, route: Route, value: Value, source: Source) -> Value | None:
    """Put the route's tools into the graph, each a node named after what it converts, or find them there."""
    from mmagent.graph.call import check_call

    made: Value | None = value
    for hop in route.hops:
        if made is None:
            return None
        key = (made.origins, hop.card.name, tuple(sorted(hop.settings.items())), hop.each)
        if key not in work.inserted:
            name = _free(work, f"{source.replace('.', '~')}~{hop.card.short}")
            node = NodeSpec(hop.card.name, {hop.input: source}, hop.settings, each=hop.input if hop.each else None)
            work.tools.setdefault(hop.card.name, ToolCard(hop.card))
            check_call(work, name, node, ToolCard(hop.card))
            work.nodes[-1] = replace(work.nodes[-1], inserted=True)
            work.inserted[key] = name if len(hop.card.outputs) == 1 else f"{name}.{hop.output}"
        source = work.inserted[key]
        made = work.values[source]
    return made


def _free(work: Work, name: str) -> str:
    """The name, numbered if it is taken."""
    taken = {node.name for node in work.nodes} | work.spec.nodes.keys() | work.spec.inputs.keys()
    number, free = 2, name
    while free in taken:
        number, free = number + 1, f"{name}~{number}"
    return free
