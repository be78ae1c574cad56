"""The table of calls: what each was given, what it made, how long it took, and with which seed and settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mmagent.engine.events import Call, Handle
from mmagent.trace.anchors import call_id, number
from mmagent.trace.data import Node, Part, Trace
from mmagent.trace.gallery import Gallery
from mmagent.trace.markup import Child, Html, element
from mmagent.trace.words import duration

HEADINGS = ("Call", "Status", "Time", "In → out", "Details")


def status_badge(status: str) -> Html:
    """A status as a coloured word."""
    return element("span", status, class_=f"badge {status_class(status)}")


def status_class(status: str) -> str:
    """The class that colours a status; only words that calls can have are taken into it."""
    return f"st-{status}" if status in ("finished", "cached", "failed", "skipped", "cancelled") else "st-unknown"


def depths(calls: Iterable[Call]) -> dict[int, int]:
    """How deep each call lies within other calls of the same run, by span."""
    parents = {call.span: call.parent for call in calls}

    def depth(span: int) -> int:
        seen = {span}
        while (span := parents[span]) in parents and span not in seen:
            seen.add(span)
        return len(seen) - 1

    return {span: depth(span) for span in parents}


def table(trace: Trace, gallery: Gallery) -> Html:
    """Every call of every step as one table, a body of rows for each step."""
    bodies: list[Html] = []
    for index, step in enumerate(trace.steps):
        nodes = {node.name: node for node in step.nodes}
        nested = depths(step.calls)
        title = element(
            "tr", element("th", f"Step {index + 1}", colspan=len(HEADINGS), scope="rowgroup"), class_="group"
        )
        rows = []
        for call in step.begun:
            node = nodes.get(call.node)
            part = trace.part_at(index, node.place) if node and node.place is not None else None
            rows.append(_row(call_id(index, call), call, _origin(node, part), nested[call.span], gallery))
        bodies.append(element("tbody", title if len(trace.steps) > 1 else None, rows))
    head = element("thead", element("tr", [element("th", name, scope="col") for name in HEADINGS]))
    return element("table", head, bodies, class_="calls")


def _row(anchor: str, call: Call, origin: list[Html], depth: int, gallery: Gallery) -> Html:
    name = [element("b", call.node), element("code", call.tool), origin]
    time = [element("b", duration(call.seconds)), element("span", f"from {duration(call.started)}", class_="faint")]
    flow = [_ports("in", call.inputs, gallery), _ports("out", call.outputs, gallery)]
    error = element("p", call.error, class_="error") if call.error else None
    return element(
        "tr",
        element("th", name, scope="row", class_="name", style=f"--depth:{depth}"),
        element("td", status_badge(call.status), class_="status"),
        element("td", time, class_="time"),
        element("td", flow, error),
        element("td", _details(call)),
        id=anchor, data_call=anchor, tabindex=-1,
    )  # fmt: skip


def _origin(node: Node | None, part: Part | None) -> list[Html]:
    """How a node came into the graph, if the turn's own graph does not name it."""
    words = ["inserted converter"] if node and node.inserted else []
    if node and node.place is not None:
        words.append(f"for part {number(part)}" if part else "spliced in")
    return [element("span", word, class_="note") for word in words]


def _ports(way: str, ports: Mapping[str, tuple[Handle, ...]], gallery: Gallery) -> Html:
    """One line of references. A port that is called like its modality needs no other name."""
    shown: list[Child] = [element("span", way, class_="way")]
    for port, handles in ports.items():
        named = {handle.modality for handle in handles} != {port}
        for place, handle in enumerate(handles):
            label = element("span", port, class_="port") if named and place == 0 else None
            shown.append(element("span", label, gallery.chip(handle), class_="ref"))
    return element(
        "div", shown if any(ports.values()) else [*shown, element("span", "nothing", class_="faint")], class_="flow"
    )


def _details(call: Call) -> Html:
    plain: list[tuple[str, Child]] = [("seed", str(call.seed))]
    if call.attempts > 1:
        plain.append(("attempts", call.attempts))
    plain += [(name, str(value)) for name, value in call.settings.items()]
    plain.append(("recipe key", element("code", call.key) if call.key else "none: not cached"))
    pairs = [(element("dt", name), element("dd", value)) for name, value in plain]
    brief = [f"seed {call.seed}", *(f"{name} {value}" for name, value in call.settings.items())]
    if call.attempts > 1:
        brief.insert(0, f"{call.attempts} attempts")
    summary = element("summary", ", ".join(brief[:2]) + (" …" if len(brief) > 2 else ""))
    return element("details", summary, element("dl", pairs))
