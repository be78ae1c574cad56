from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from mmagent.trace import Edge, Trace
from mmagent.trace.drawing import drawings

if TYPE_CHECKING:
    from tests.trace.conftest import Reading, Turn

    Read = Callable[[str], Reading]


def test_every_node_leads_to_its_call_and_says_what_became_of_it(turn: Turn, read: Read) -> None:
    seen = read(drawings(turn.trace))
    assert seen.faults == []
    spoken = {attributes["href"]: attributes["aria-label"] for attributes in seen.all("a")}
    assert spoken["#call-1-1"] == "tag (image-tags.v1, converter): cached, 1 ms"
    assert spoken["#call-1-5"] == "3/hum (hum.v1, converter): failed, 100 ms"
    assert spoken["#call-1-6"] == "3/cut (resample.v1, converter), inserted converter: skipped, 0 ms"
    assert spoken["#call-2-1"] == "answer (answer.v1, reasoner): cancelled, 400 ms"
    assert len(spoken) == len(turn.trace.calls)


def test_statuses_and_inserted_converters_look_their_own_way(turn: Turn, read: Read) -> None:
    looks = {attributes["href"]: attributes["class"] for attributes in read(drawings(turn.trace)).all("a")}
    assert looks["#call-1-1"] == "node st-cached"
    assert looks["#call-1-6"] == "node st-skipped inserted"


def test_what_a_signal_asked_for_is_dotted_and_names_its_part(turn: Turn, read: Read) -> None:
    seen = read(drawings(turn.trace))
    ways = [attributes["class"] for attributes in seen.all("path") if "way" in (attributes["class"] or "")]
    assert sorted(str(way) for way in ways) == ["way"] * 3 + ["way asked"] * 3
    assert "part 2 · 800 ms" in seen.text
    assert "part 4 · failed" in seen.text


def test_boxes_never_lie_on_one_another_and_all_lie_in_the_picture(turn: Turn, read: Read) -> None:
    step = turn.trace.steps[0]
    seen = read(drawings(replace(turn.trace, steps=(step,))))
    boxes = [tuple(float(box[name] or 0) for name in ("x", "y", "width", "height")) for box in seen.all("rect")]
    assert len(boxes) == len(step.nodes) + 1  # and the one input
    for place, (x, y, width, height) in enumerate(boxes):
        for left, top, wide, high in boxes[:place]:
            assert x + width <= left or left + wide <= x or y + height <= top or top + high <= y
    (picture,) = seen.all("svg")
    left, top, wide, high = map(float, str(picture["viewbox"]).split())
    assert all(left <= x and x + width <= left + wide and y + height <= top + high for x, y, width, height in boxes)


def test_a_node_that_never_ran_is_drawn_without_a_link(turn: Turn, read: Read) -> None:
    step = replace(turn.trace.steps[0], calls=())
    seen = read(drawings(replace(turn.trace, steps=(step,))))
    assert seen.all("a") == []
    assert seen.text.count("not run") >= len(step.nodes)


def test_a_circle_is_told_rather_than_drawn(turn: Turn, read: Read) -> None:
    step = turn.trace.steps[0]
    circle = replace(step, edges=(*step.edges, Edge("3/cut", "tag", "image", "image")))
    seen = read(drawings(replace(turn.trace, steps=(circle,))))
    assert "Graph goes in a circle and cannot be drawn." in seen.text
    assert seen.faults == []


def test_a_turn_without_a_graph_says_so(read: Read) -> None:
    assert read(drawings(Trace("m", 0, {}, (), (), ()))).text == "No graph ran."
