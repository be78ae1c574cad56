"""The nearest fix for a fault: the name that was meant, the source that fits, the setting or tool that would help."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from mmagent.card import Port
from mmagent.graph.ports import misfit
from mmagent.graph.spec import NodeSpec, Source

if TYPE_CHECKING:
    from mmagent.graph.routes import Route
    from mmagent.graph.work import ToolCard, Value, Work


def nearest(name: str, known: Iterable[str], otherwise: str) -> str:
    """`did you mean …` for the nearest known name, or else `otherwise`."""
    near = difflib.get_close_matches(name, list(known), 1)
    return f"did you mean {near[0]}?" if near else otherwise


def for_nothing(work: Work, wanted: Port, name: str) -> str:
    """The fix for a required port that nothing feeds."""
    fitting = _fitting(work, wanted, name)
    return f"add in: {{{wanted.name}: {fitting}}}" if fitting else f"connect something that is {wanted}"


def for_list(work: Work, value: Value, wanted: Port) -> str:
    """The fix for a list that is fed to a port for one value."""
    item = replace(value.port, many=False)
    merging = [
        (card.lossy, card.cost, card.name)
        for card in work.library.cards()
        if card.kind == "converter"
        and any(port.many and not misfit(value.port, port) for port in card.inputs)
        and any(not misfit(port, wanted) for port in card.outputs)
    ]
    merge = f"put {min(merging)[-1]} between, which takes the list" if merging else ""
    if misfit(item, wanted):
        return merge or f"connect one {wanted}"
    return f"say each: {wanted.name}, to run once for each item" + (f", or {merge}" if merge else "")


def for_misfit(work: Work, value: Value, wanted: Port, source: Source, name: str, route: Route | None) -> str:
    """The fix for a value of another modality or with other constraints."""
    if misfit(value.port, wanted) == "constraint":
        setting = _setting(work, value, wanted, source, name)
        if setting:
            return setting
    owner = work.node_of(source)
    for text, other in work.values.items():
        if owner and other and text.startswith(f"{owner}.") and text != source and not misfit(other.port, wanted):
            return f"use {text}"
    fixes = []
    if route is not None:
        names = " then ".join(card.name for card in route.steps)
        fixes.append(f"add lossy: allow to the graph, or put {names} between")
    fitting = _fitting(work, wanted, name)
    if fitting:
        fixes.append(f"use {fitting}")
    return ", or ".join(fixes) or f"connect something that is {wanted}"


def _fitting(work: Work, wanted: Port, name: str) -> Source | None:
    """The source made last that fits; the shorter name where it has two."""
    fits = [text for text, value in work.values.items() if value is not None and not misfit(value.port, wanted)]
    fits = [text for text in fits if work.node_of(text) != name]
    return next((text for text in reversed(fits)), None)


def _setting(work: Work, value: Value, wanted: Port, source: Source, name: str) -> str:
    """The setting, of the tool that makes the value or of the one that takes it, that would meet the constraint."""
    missed = {key: ask for key, ask in wanted.constraints.items() if value.port.constraints.get(key) != ask}
    owner = work.node_of(source)
    maker = _tool_of(work, work.spec.nodes.get(owner or ""))
    taker = _tool_of(work, work.spec.nodes.get(name))
    made = maker.card.output(value.port.name) if maker else None
    taken = taker.card.input(wanted.name) if taker else None
    for key, ask in missed.items():
        rule = made.constraints.get(key) if made else None
        if isinstance(rule, str) and rule.startswith("$"):
            return f"set {rule[1:]}: {ask} on node {owner}"
        rule, given = (taken.constraints.get(key) if taken else None), value.port.constraints.get(key)
        if isinstance(rule, str) and rule.startswith("$") and given is not None:
            return f"set {rule[1:]}: {given} on node {name}"
    return ""


def _tool_of(work: Work, node: NodeSpec | None) -> ToolCard | None:
    from mmagent.graph.work import ToolCard

    found = work.tools.get(node.tool) if node else None
    return found if isinstance(found, ToolCard) else None
