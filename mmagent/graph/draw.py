"""A checked graph as a picture: Mermaid text for documents, SVG for pages and notebooks.

Colours say the kind of tool; dashes say that no spec names the node; a pile says that it runs once for each
item. Boxes have a light ground and dark letters of their own, lines a middle grey, so the drawing reads on a
light page and on a dark one.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from mmagent.card import Port
from mmagent.graph.checked import INPUT, CheckedGraph, CheckedNode, Origin
from mmagent.graph.layout import Key, Link, Point, lay_out

_COLOURS: Mapping[str, tuple[str, str]] = {
    "encoder": ("#ede7fb", "#7a55c7"),
    "generator": ("#fdebd3", "#c9741a"),
    "converter": ("#dcedfb", "#2f7fc1"),
    "reasoner": ("#fbe0e8", "#c2386b"),
    "terminal": ("#e9ecef", "#6c757d"),
}
_FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
_INK, _SOFT, _LINE = "#1b1f24", "#4a525b", "#7d868f"
_LETTER = 0.62
"""The width of a monospaced letter in ems, rounded up."""
_LONGEST = 30


@dataclass(frozen=True, slots=True)
class _Box:
    """One box: an input, a node or an output of the graph."""

    key: Key
    title: str
    note: str
    kind: str
    tip: str
    dashed: bool = False
    piled: bool = False


@dataclass(frozen=True, slots=True)
class _Arrow:
    """A value on its way from a box's output to a box's port."""

    start: Key
    output: str
    end: Key
    port: str
    label: str
    tip: str

    @property
    def link(self) -> Link:
        return self.start, self.end


def mermaid(graph: CheckedGraph) -> str:
    """The graph as a Mermaid flowchart; names are escaped, whatever they hold."""
    boxes, arrows = _parts(graph)
    names = {box.key: f"n{number}" for number, box in enumerate(boxes)}
    lines = ["flowchart LR"]
    for box in boxes:
        text = _quoted(box.title) + (f"<br/>{_quoted(box.note)}" if box.note else "")
        left, right = ("([", "])") if box.kind == "terminal" else ("[[", "]]") if box.piled else ("[", "]")
        style = f":::{box.kind}" + ("-inserted" if box.dashed else "")
        lines.append(f'    {names[box.key]}{left}"{text}"{right}{style}')
    lines += [f'    {names[item.start]} -->|"{_quoted(item.label)}"| {names[item.end]}' for item in arrows]
    for kind, (fill, stroke) in _COLOURS.items():
        lines.append(f"    classDef {kind} fill:{fill},stroke:{stroke},color:{_INK}")
        lines.append(f"    classDef {kind}-inserted fill:{fill},stroke:{stroke},color:{_INK},stroke-dasharray:5 4")
    return "\n".join(lines) + "\n"


def svg(graph: CheckedGraph) -> str:
    """The graph as a self-contained SVG of its natural size; full types and docs show where the pointer rests."""
    boxes, arrows = _parts(graph)
    coming = {box.key: [item for item in arrows if item.end == box.key] for box in boxes}
    leaving = {box.key: list(dict.fromkeys(item.output for item in arrows if item.start == box.key)) for box in boxes}
    sizes = {box.key: _size(box, max(len(coming[box.key]), len(leaving[box.key]))) for box in boxes}
    # labels lie on the level end of their arrows, equally long for all that enter a box: none runs through another
    level = {
        key: max((_width(_short(item.label), 11) + 16 for item in items), default=0) for key, items in coming.items()
    }
    gaps = {item.link: level[item.end] + 44 for item in arrows}
    layout = lay_out(sizes, [item.link for item in arrows], gaps)
    before = {item: (bends or [layout.corners[item.start]])[-1] for item, bends in zip(arrows, layout.bends)}
    margin = 16
    body: list[str] = []
    for item, bends in zip(arrows, layout.bends):
        x, y = layout.corners[item.start]
        width, height = sizes[item.start]
        ports = leaving[item.start]
        start = x + width, y + height * (ports.index(item.output) + 1) / (len(ports) + 1)
        x, y = layout.corners[item.end]
        height = sizes[item.end][1]
        # arrows enter in the order of the heights they come from, so that they do not cross at the box
        entries = sorted(coming[item.end], key=lambda one: before[one][::-1])
        end = x - 2, y + height * (entries.index(item) + 1) / (len(entries) + 1)
        body += _drawn_arrow(item, start, bends, end, level[item.end])
    for box in boxes:
        body += _drawn_box(box, *layout.corners[box.key], *sizes[box.key])
    width, height = layout.width + 2 * margin, layout.height + 2 * margin
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="{-margin} {-margin} {width:.0f} {height:.0f}" font-family="{escape(_FONT)}" role="img">'
        f"<title>{_clean(graph.spec.name)}</title>"
    )
    return "\n".join([head, *body, "</svg>"]) + "\n"


# -- what there is to draw


def _parts(graph: CheckedGraph) -> tuple[list[_Box], list[_Arrow]]:
    boxes = [
        _Box(("input", name), name, str(port), "terminal", f"input {name}: {port}")
        for name, port in graph.inputs.items()
    ]
    boxes += [_node(node) for node in graph.nodes]
    boxes += [
        _Box(("output", name), name, str(port), "terminal", f"output {name}: {port}")
        for name, port in graph.output_ports.items()
    ]
    made = {(node.name, port.name): port for node in graph.nodes for port in node.outputs}
    made |= {(INPUT, name): port for name, port in graph.inputs.items()}
    return boxes, list(_arrows(graph, made))


def _node(node: CheckedNode) -> _Box:
    each = f" · each {node.spec.each}" if node.spec.each else ""
    settings = "".join(f"\n{name} = {value}" for name, value in node.settings.items())
    inserted = "\ninserted by the check" if node.inserted else ""
    tip = f"{node.name}: {node.card.name}, {node.card.kind}{inserted}\n{node.card.doc}{settings}"
    return _Box(
        ("node", node.name), node.name, f"{node.card.name}{each}", node.card.kind, tip, node.inserted, bool(each)
    )


def _arrows(graph: CheckedGraph, made: Mapping[tuple[str, str], Port]) -> Iterator[_Arrow]:
    for node in graph.nodes:
        for edge in node.edges:
            for origin in edge.origins:
                yield _arrow(origin, made[origin.node, origin.port], ("node", node.name), edge.port.name)
    for name, origin in graph.outputs.items():
        yield _arrow(origin, made[origin.node, origin.port], ("output", name), name)


def _arrow(origin: Origin, port: Port, end: Key, into: str) -> _Arrow:
    start = ("input", origin.port) if origin.node == INPUT else ("node", origin.node)
    label = str(Port(port.name, port.modality, port.many))
    return _Arrow(start, origin.port, end, into, label, f"{port} → {into}")


# -- drawing


def _size(box: _Box, ends: int) -> tuple[float, float]:
    width = max(_width(_short(box.title), 13), _width(_short(box.note), 11)) + 28
    return max(width, 84.0), max(46.0, 22.0 * (ends + 1) if ends > 1 else 0.0)


def _drawn_box(box: _Box, x: float, y: float, width: float, height: float) -> Iterator[str]:
    fill, stroke = _COLOURS[box.kind]
    corner = height / 2 if box.kind == "terminal" and height < 50 else 8
    dash = ' stroke-dasharray="5 4"' if box.dashed else ""
    rect = f'width="{width:.1f}" height="{height:.1f}" rx="{corner:.1f}" fill="{fill}" stroke="{stroke}"'
    middle = x + width / 2
    yield f"<g><title>{_clean(box.tip)}</title>"
    if box.piled:
        yield f'<rect x="{x + 5:.1f}" y="{y + 5:.1f}" {rect} stroke-width="1.2"/>'
    yield f'<rect x="{x:.1f}" y="{y:.1f}" {rect} stroke-width="1.5"{dash}/>'
    yield (
        f'<text x="{middle:.1f}" y="{y + height / 2 - 4:.1f}" font-size="13" font-weight="600" text-anchor="middle" '
        f'fill="{_INK}">{_clean(_short(box.title))}</text>'
    )
    yield (
        f'<text x="{middle:.1f}" y="{y + height / 2 + 13:.1f}" font-size="11" text-anchor="middle" '
        f'fill="{_SOFT}">{_clean(_short(box.note))}</text></g>'
    )


def _drawn_arrow(arrow: _Arrow, start: Point, bends: Sequence[Point], end: Point, level: float) -> Iterator[str]:
    """A curve through its bends, then a level stretch that carries the label, and an arrowhead."""
    points = [start, *bends, (end[0] - level, end[1])]
    path = f"M{start[0]:.1f},{start[1]:.1f}"
    for (x0, y0), (x1, y1) in pairwise(points):
        half = (x1 - x0) / 2
        path += f" C{x0 + half:.1f},{y0:.1f} {x1 - half:.1f},{y1:.1f} {x1:.1f},{y1:.1f}"
    x, y = end
    path += f" H{x:.1f}"
    yield f'<g><title>{_clean(arrow.tip)}</title><path d="{path}" fill="none" stroke="{_LINE}" stroke-width="1.5"/>'
    yield f'<path d="M{x + 1:.1f},{y:.1f} l-8,-4 v8 z" fill="{_LINE}"/>'
    yield (
        f'<text x="{x - 11:.1f}" y="{y - 5:.1f}" font-size="11" text-anchor="end" fill="{_LINE}">'
        f"{_clean(_short(arrow.label))}</text></g>"
    )


def _width(text: str, size: float) -> float:
    letters = sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)
    return letters * size * _LETTER


def _short(text: str) -> str:
    """A text that is too long for a box, with its middle left out."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]}…{text[-_LONGEST // 2 + 1 :]}"


def _clean(text: str) -> str:
    """Text for SVG: escaped, and without the characters that XML has no way to write."""
    return escape("".join(letter if letter.isprintable() or letter in "\t\n" else "\ufffd" for letter in text))


def _quoted(text: str) -> str:
    """Text for a Mermaid label, where entities begin with `#`."""
    codes = {"#": "#35;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "&": "#amp;", "`": "#96;", "\n": " "}
    return "".join(codes.get(letter, letter if letter.isprintable() else "\ufffd") for letter in text)
