"""The graph that ran as SVG, from top to bottom: statuses by colour and word, every node a link to its call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from mmagent.engine.events import Call
from mmagent.graph.layout import Key, Link, Point, lay_out
from mmagent.trace.anchors import call_id, number
from mmagent.trace.calls import status_class
from mmagent.trace.data import Edge, Node, Step, Trace
from mmagent.trace.markup import Child, Html, element
from mmagent.trace.words import count, duration, line

MARGIN, GAP, LETTER = 8.0, 46.0, 7.2
"""Pixels: round the drawing, between rows, and the width of a letter at its widest size."""
LONGEST = 26

_LEGEND = (
    ("st-finished", "finished"),
    ("st-cached", "cached"),
    ("st-failed", "failed"),
    ("st-skipped", "skipped"),
    ("st-cancelled", "cancelled"),
)


@dataclass(frozen=True, slots=True)
class Box:
    """A node, or an input of the graph: up to three lines of words, and the call that it leads to."""

    title: str
    notes: tuple[str, ...]
    look: str
    spoken: str
    anchor: str | None = None

    @property
    def height(self) -> float:
        return 26.0 + 15.0 * len(self.notes)


def drawings(trace: Trace) -> Html:
    """A drawing for each step, and what its colours and dashes mean."""
    if not any(step.nodes for step in trace.steps):
        return element("p", "No graph ran.", class_="none")
    shown = [_drawing(trace, index, step) for index, step in enumerate(trace.steps)]
    statuses = {status_class(call.status) for call in trace.calls}
    keys = [element("li", name, class_=look) for look, name in _LEGEND if look in statuses]
    if any(node.inserted for step in trace.steps for node in step.nodes):
        keys.append(element("li", "inserted converter", class_="dashed"))
    if any(node.place is not None for step in trace.steps for node in step.nodes):
        keys.append(element("li", "asked for by a signal", class_="dotted"))
    return element("div", shown, element("ul", keys, class_="legend"))


def _drawing(trace: Trace, index: int, step: Step) -> Html:
    """One step's graph. A graph with a circle in it, which no run leaves behind, is not drawn."""
    from networkx import NetworkXUnfeasible

    name = f"Graph of step {index + 1}" if len(trace.steps) > 1 else "Graph"
    boxes = _boxes(trace, index, step)
    try:
        drawn = _svg(f"{name}: {count(len(step.nodes), 'node')}", boxes, step.edges, step.nodes)
    except NetworkXUnfeasible:
        return element("p", f"{name} goes in a circle and cannot be drawn.", class_="none")
    title = element("h3", f"Step {index + 1}") if len(trace.steps) > 1 else None
    return element("div", title, element("div", drawn, class_="drawing", tabindex=0), class_="step")


def _boxes(trace: Trace, index: int, step: Step) -> dict[Key, Box]:
    names = {node.name for node in step.nodes}
    calls = {call.node: call for call in step.calls}
    found: dict[Key, Box] = {}
    for edge in step.edges:
        known = found.get(("end", edge.source))
        if edge.source not in names and (known is None or known.notes == ("any",)):
            spoken = f"input {edge.source}: {edge.modality}"
            found["end", edge.source] = Box(line(edge.source, LONGEST), (line(edge.modality, LONGEST),), "end", spoken)
    for node in step.nodes:
        part = trace.part_at(index, node.place) if node.place is not None else None
        place = f"part {number(part)}" if part else ""
        found["node", node.name] = _node(index, node, calls.get(node.name), place)
    return found


def _node(step: int, node: Node, call: Call | None, place: str) -> Box:
    status = call.status if call else "not run"
    brief = duration(call.seconds) if call and call.status == "finished" else status
    seconds = f", {duration(call.seconds)}" if call else ""
    inserted = ", inserted converter" if node.inserted else ""
    return Box(
        title=line(node.name, LONGEST),
        notes=(line(node.tool, LONGEST), " · ".join(filter(None, (place, brief)))),
        look=f"node {status_class(status)}{' inserted' if node.inserted else ''}",
        spoken=f"{node.name} ({node.tool}, {node.kind}){inserted}: {status}{seconds}",
        anchor=call_id(step, call) if call else None,
    )


def _svg(name: str, boxes: Mapping[Key, Box], edges: Sequence[Edge], nodes: Sequence[Node]) -> Html:
    """The layout runs from left to right; here its axes change places, so that a page scrolls along the graph."""
    known = {node.name: node for node in nodes}
    drawn = [edge for edge in edges if edge.target in known]
    links: list[Link] = [(_key(edge.source, known), ("node", edge.target)) for edge in drawn]
    entering = {key: [place for place, link in enumerate(links) if link[1] == key] for key in boxes}
    rooms = [len(_label(edge)) * LETTER + 10 for edge in drawn]
    widths = {key: max(_width(box), sum(rooms[place] for place in entering[key])) for key, box in boxes.items()}
    sizes = {key: (box.height, widths[key]) for key, box in boxes.items()}
    layout = lay_out(sizes, links, dict.fromkeys(links, GAP))
    corners = {key: (across, down) for key, (down, across) in layout.corners.items()}
    turns = [[(across, down) for down, across in bends] for bends in layout.bends]
    starts = [(corners[one][0] + widths[one] / 2, corners[one][1] + boxes[one].height) for one, _ in links]
    ends: dict[int, Point] = {}
    for key, places in entering.items():
        x, y = corners[key]
        spare = (widths[key] - sum(rooms[place] for place in places)) / max(len(places), 1)
        for place in sorted(places, key=lambda place: [starts[place], *turns[place]][-1]):
            ends[place] = (x + (rooms[place] + spare) / 2, y)  # side by side, in the order in which they come in
            x += rooms[place] + spare
    ways = [
        _way(edge, starts[place], turns[place], ends[place], _asked(edge, known)) for place, edge in enumerate(drawn)
    ]
    shown = [_box(box, *corners[key], widths[key]) for key, box in boxes.items()]
    width, height = layout.height + 2 * MARGIN, layout.width + 2 * MARGIN
    return element(
        "svg", ways, shown, viewBox=f"{-MARGIN:g} {-MARGIN:g} {width:.0f} {height:.0f}",
        width=round(width), height=round(height), role="group", aria_label=name,
    )  # fmt: skip


def _key(source: str, known: Mapping[str, Node]) -> Key:
    return ("node", source) if source in known else ("end", source)


def _asked(edge: Edge, known: Mapping[str, Node]) -> bool:
    """Whether a signal made this edge: it leads into what was spliced in from what was not."""
    source, target = known.get(edge.source), known[edge.target]
    return target.place is not None and (source is None or source.place != target.place)


def _label(edge: Edge) -> str:
    return line(edge.port if edge.modality == "any" else edge.modality, LONGEST)


def _width(box: Box) -> float:
    return max(max(len(text) for text in (box.title, *box.notes)) * LETTER + 24, 80.0)


def _way(edge: Edge, start: Point, bends: Sequence[Point], end: Point, asked: bool) -> Html:
    """A curve through its bends, then a straight stretch that carries the label, and an arrowhead."""
    x, y = end
    path = f"M{start[0]:.1f},{start[1]:.1f}"
    for (x0, y0), (x1, y1) in pairwise([start, *bends, (x, y - 22)]):
        half = (y1 - y0) / 2
        path += f" C{x0:.1f},{y0 + half:.1f} {x1:.1f},{y1 - half:.1f} {x1:.1f},{y1:.1f}"
    return element(
        "g",
        element("title", f"{edge.source} → {edge.target}, port {edge.port} ({edge.modality})"),
        element("path", d=f"{path} V{y - 6:.1f}", class_="way asked" if asked else "way"),
        element("path", d=f"M{x:.1f},{y - 1:.1f} l-4,-7 h8 z", class_="head"),
        element("text", _label(edge), x=x, y=y - 12, text_anchor="middle", class_="label"),
    )


def _box(box: Box, x: float, y: float, width: float) -> Html:
    middle = x + width / 2
    looks = ("small tool", "tone") if len(box.notes) > 1 else ("small",)
    lines: list[Child] = [element("text", box.title, x=middle, y=y + 18, text_anchor="middle", class_="name")]
    for place, (note, look) in enumerate(zip(box.notes, looks)):
        lines.append(element("text", note, x=middle, y=y + 33 + 15 * place, text_anchor="middle", class_=look))
    rect = element("rect", x=x, y=y, width=width, height=box.height, rx=6 if box.anchor else 12, class_="box")
    inside: list[Child] = [element("title", box.spoken), rect, lines]
    if box.anchor is None:
        return element("g", inside, class_=box.look)
    return element("a", inside, href=f"#{box.anchor}", aria_label=box.spoken, class_=box.look, data_call=box.anchor)
