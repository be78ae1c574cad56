"""Drawings: well-formed whatever the names hold, boxes apart, letters inside their boxes."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmagent import testing
from mmagent.card import Port
from mmagent.graph import draw
from mmagent.graph.builder import GraphBuilder
from mmagent.graph.checked import CheckedGraph, CheckedNode, Edge, Origin
from mmagent.graph.layout import Key, lay_out
from mmagent.graph.spec import GraphSpec, NodeSpec

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def graph() -> CheckedGraph:
    built = GraphBuilder("show", registry=testing.registry())
    line, photos = built.input("line", "text"), built.input("photos", "list[image]")
    captions = built.add("captions", "caption", {"each": "image"}, image=photos)
    both = built.add("both", testing.join, texts=[line, captions])
    say = built.add("say", testing.tone, text=both)
    built.output("heard", built.add("hear", testing.hear, speech=say))
    built.output("speech", say)
    return built.checked()


def read(graph: CheckedGraph) -> ET.Element:
    return ET.fromstring(draw.svg(graph).encode())  # noqa: S314 - what we have just written ourselves


def test_an_svg_shows_names_tools_and_modalities(graph: CheckedGraph) -> None:
    texts = [item.text for item in read(graph).iter(f"{SVG}text")]
    assert {"captions", "caption.v1 · each image", "hear.v1", "list[image]", "list[text]", "speech"} <= set(texts)


def test_inserted_nodes_are_dashed_and_each_makes_a_pile(graph: CheckedGraph) -> None:
    boxes = {
        group.findall(f"{SVG}text")[0].text: group.findall(f"{SVG}rect")
        for group in read(graph).iter(f"{SVG}g")
        if group.find(f"{SVG}rect") is not None
    }
    dashed = {name for name, rects in boxes.items() if "stroke-dasharray" in rects[-1].attrib}
    assert dashed == {"say~thin"}
    assert {name for name, rects in boxes.items() if len(rects) == 2} == {"captions"}


def test_letters_stay_inside_their_boxes(graph: CheckedGraph) -> None:
    for group in read(graph).iter(f"{SVG}g"):
        rect = group.find(f"{SVG}rect")
        if rect is not None:
            for text in group.findall(f"{SVG}text"):
                assert len(text.text or "") * float(text.attrib["font-size"]) * 0.6 < float(rect.attrib["width"]) - 8


@given(st.text(min_size=1, max_size=12), st.text(max_size=12))
def test_any_name_makes_well_formed_drawings(name: str, setting: str) -> None:
    port = Port("text", "text")
    node = CheckedNode(
        name, testing.upper.card, {"x": setting}, (Edge(port, (Origin("", name),)),), (port,), NodeSpec("upper.v1")
    )
    graph = CheckedGraph(GraphSpec(name), {name: port}, (node,), {name: Origin(name, "text")}, {name: port})
    read(graph)
    for line in draw.mermaid(graph).splitlines():
        found = re.fullmatch(
            r'    (?:n\d(?:\(\[|\[)"[^"<>]*(?:<br/>[^"<>]*)?"(?:\]\)|\]):::\w+|n\d -->\|"[^"<>]*"\| n\d)', line
        )
        assert found or line.startswith(("flowchart LR", "    classDef "))


def test_mermaid_names_every_box_and_arrow(graph: CheckedGraph) -> None:
    text = draw.mermaid(graph)
    assert text.startswith("flowchart LR\n")
    assert 'n2[["captions<br/>caption.v1 · each image"]]:::converter' in text
    assert 'n1 -->|"list[image]"| n2' in text
    assert ":::converter-inserted" in text


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 9), st.randoms(use_true_random=False))
def test_boxes_lie_apart_and_links_run_from_left_to_right(size: int, random: object) -> None:
    keys: list[Key] = [("node", str(number)) for number in range(size)]
    chance = random.random  # type: ignore[attr-defined]  # hypothesis types it as object
    links = [(one, other) for one, other in combinations(keys, 2) if chance() < 0.4]
    sizes = {key: (40 + 100 * chance(), 20 + 60 * chance()) for key in keys}
    layout = lay_out(sizes, links, dict.fromkeys(links, 50.0))
    for one, other in combinations(keys, 2):
        (x0, y0), (x1, y1) = layout.corners[one], layout.corners[other]
        apart_x = x0 + sizes[one][0] <= x1 or x1 + sizes[other][0] <= x0
        apart_y = y0 + sizes[one][1] <= y1 or y1 + sizes[other][1] <= y0
        assert apart_x or apart_y
    for (one, other), bends in zip(links, layout.bends):
        xs = [layout.corners[one][0] + sizes[one][0], *(x for x, _ in bends), layout.corners[other][0]]
        assert xs == sorted(xs)
        assert layout.corners[other][0] - xs[0] >= 50 - 1e-9
    assert lay_out(sizes, links, dict.fromkeys(links, 50.0)) == layout
