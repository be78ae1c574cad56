"""One node that calls a tool: its edges, settings, type variables, fallbacks, and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from mmagent.card import Card, Port, Scalar
from mmagent.errors import CardError
from mmagent.graph import advice
from mmagent.graph.checked import CheckedNode, Edge, Fallback, Origin
from mmagent.graph.connect import feed, join
from mmagent.graph.ports import misfit, resolve
from mmagent.graph.spec import NodeSpec
from mmagent.graph.work import ToolCard, Value, Work


def check_call(work: Work, name: str, node: NodeSpec, tool: ToolCard) -> None:
    """Check the node and add it to `work.nodes` and its outputs to `work.values`, in spite of faults.

    What comes after it can thus be checked too, and every fault is found at once.
    """
    settings: Mapping[str, Scalar]
    if node.settings or tool.defaults is None:
        settings = check_settings(work, name, tool.card, node.settings)
    else:
        settings = tool.defaults
    if tool.card.follows_settings:
        tool = work.tool_for(tool, settings, name)
    card = tool.card
    ports: Sequence[Port] = card.inputs
    outputs = card.outputs
    if not tool.plain:
        ports = [replace(resolve(port, settings), variable=port.variable) for port in ports]
    if card.either:
        ports = _one_of(work, name, node, card, ports)
    fed, absent = check_inputs(work, name, node, ports)
    if tool.plain:
        edges = tuple([Edge(port, value.origins) for port, value in fed])
    else:
        bound = _bind(work, name, fed)
        edges = tuple(
            [Edge(resolve(port, settings, bound.get(port.variable or "")), made.origins) for port, made in fed]
        )
        outputs = tuple([resolve(port, settings, bound.get(port.variable or "")) for port in outputs])
    if node.each is not None:
        outputs = _listed(work, name, node.each, card, outputs)
    if node.retries < 0 or (node.timeout is not None and not node.timeout > 0):
        got = f"retries {node.retries}, timeout {node.timeout}"
        work.fault(name, "", "retries from 0 and a timeout above 0", got, "mend them")
    fallbacks = _fallbacks(work, name, node, card) if node.fallback else ()
    values = work.values
    for port in outputs:
        source = name if tool.only is not None else f"{name}.{port.name}"
        values[source] = Value((Origin(name, port.name),), port, absent or port.optional)
    work.nodes.append(CheckedNode(name, card, settings, edges, outputs, node, False, fallbacks))


def check_inputs(work: Work, name: str, node: NodeSpec, ports: Sequence[Port]) -> tuple[list[tuple[Port, Value]], bool]:
    """Each port with the value that enters it, and whether the call is skipped when something is absent.

    The port that the node runs `each` of is a list here. A list leaves out what is absent, so it skips nothing.
    """
    fed: list[tuple[Port, Value]] = []
    absent = False
    found = 0
    for port in ports:
        if port.name not in node.inputs:
            if not port.optional:
                work.fault(name, port.name, str(port), "nothing", advice.for_nothing(work, port, name))
            continue
        found += 1
        value = feed(work, name, node, port)
        if value is None:
            continue
        if node.each == port.name:
            port = replace(port, many=True)
        if value.absent and not port.optional and not port.many:
            absent = True
        fed.append((port, value))
    if found < len(node.inputs):
        known = [port.name for port in ports]
        for unknown in node.inputs:
            if unknown not in known:
                fix = advice.nearest(unknown, known, f"use one of {', '.join(known) or 'none'}")
                work.fault(name, unknown, f"a port of {node.tool}", "no such port", fix)
    return fed, absent


def _one_of(work: Work, name: str, node: NodeSpec, card: Card, ports: Sequence[Port]) -> list[Port]:
    """The ports, that one of `card.either` which is connected now required; a fault unless it is exactly one."""
    given = [port for port in card.either if port in node.inputs]
    if len(given) != 1:
        choices = " or ".join(card.either)
        fix = f"connect {choices}" if not given else f"keep {given[0]}, take out {', '.join(given[1:])}"
        work.fault(name, given[1] if given else card.either[0], f"one of {choices}", " and ".join(given) or "none", fix)
    return [replace(port, optional=False) if port.name in given else port for port in ports]


def check_settings(work: Work, name: str, card: Card, given: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """All settings of the call; a fault for each that is unknown, missing or of another type."""
    settings: dict[str, Scalar] = {}
    for setting in card.settings:
        settings[setting.name] = setting.default
        takes = f"one of {', '.join(map(repr, setting.choices))}" if setting.choices else setting.type
        if setting.name in given:
            value = given[setting.name]
            try:
                settings[setting.name] = setting.check(value, card.name)
            except CardError:
                work.fault(name, setting.name, takes, repr(value), f"set {setting.name} to {takes}")
        elif setting.required:
            work.fault(name, setting.name, takes, "nothing", f"add settings: {{{setting.name}: …}}")
    for unknown in given:
        if unknown not in settings:
            known = ", ".join(settings) or "none"
            fix = advice.nearest(unknown, settings, "take it out")
            work.fault(name, unknown, f"a setting of {card.name} ({known})", "no such setting", fix)
    return settings


def _bind(work: Work, name: str, fed: Sequence[tuple[Port, Value]]) -> dict[str, str]:
    """The modality of each type variable: the narrowest that all values sharing it fit."""
    bound: dict[str, str] = {}
    for port, value in fed:
        if port.variable is None:
            continue
        made = value.port.modality
        common = join(bound.get(port.variable, made), made)
        if common is None:
            other = bound[port.variable]
            work.fault(name, port.name, f"{other}, like its other ports", made, f"connect {other} here too")
        else:
            bound[port.variable] = common
    return bound


def _listed(work: Work, name: str, each: str, card: Card, outputs: Sequence[Port]) -> tuple[Port, ...]:
    """The outputs of a node that runs once for each item: lists, from which absent results are left out."""
    port = card.input(each)
    if port is None or port.many:
        single = [item.name for item in card.inputs if not item.many]
        fix = advice.nearest(each, single, f"use one of {', '.join(single) or 'none'}")
        got = "no such port" if port is None else f"{port}, which takes a list itself"
        work.fault(name, each, f"a port of {card.name} for one value, to run for each", got, fix)
    elif each not in work.spec.nodes.get(name, NodeSpec("")).inputs and port.optional:
        work.fault(name, each, "a list, to run for each item", "nothing", f"connect {each}, or drop each")
    for made in outputs:
        if made.many:
            work.fault(name, made.name, "one value from each call", str(made), "drop each, or use another tool")
    return tuple([replace(made, many=True, optional=False) for made in outputs])


def _fallbacks(work: Work, name: str, node: NodeSpec, card: Card) -> tuple[Fallback, ...]:
    found: list[Fallback] = []
    for other in node.fallback:
        rest = work.tool(other, name, "fallback")
        if rest is None:
            continue
        if not isinstance(rest, ToolCard):
            work.fault(name, "fallback", "a tool", f"the graph {other}", "name a tool")
            continue
        known = {key: value for key, value in node.settings.items() if _shared(rest.card, key)}
        settings = check_settings(work, name, rest.card, known)
        if rest.card.follows_settings:
            rest = work.tool_for(rest, settings, name, "fallback")
        differs = _difference(card, rest.card, node)
        if differs:
            expected = f"a tool with the ports of {node.tool}"
            work.fault(name, "fallback", expected, f"{other}, {differs}", f"take {other} out")
        found.append(Fallback(rest.card, settings))
    return tuple(found)


def _shared(card: Card, key: str) -> bool:
    """Whether a fallback takes this setting of the node: what it loads is its own affair, unless it has none."""
    setting = card.setting(key)
    return setting is not None and (setting.at == "run" or setting.required)


def _difference(card: Card, other: Card, node: NodeSpec) -> str:
    """How `other` cannot stand in for `card` in this node, or nothing."""
    for port in other.inputs:
        if port.name not in node.inputs and not port.optional:
            return f"which needs {port.name}"
    for name in node.inputs:
        mine, its = card.input(name), other.input(name)
        if mine is not None and (its is None or misfit(mine, its)):
            return f"whose port {name} is {its or 'not there'}"
    for mine in card.outputs:
        its = other.output(mine.name)
        if its is None or misfit(its, mine):
            return f"whose output {mine.name} is {its or 'not there'}"
    return ""
