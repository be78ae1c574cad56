"""Graphs written in Python are the graphs that YAML would give."""

from __future__ import annotations

import pytest

from mmagent import testing
from mmagent.card import Port
from mmagent.errors import CardError, GraphError
from mmagent.graph import yaml
from mmagent.graph.builder import GraphBuilder
from mmagent.graph.spec import NodeSpec
from mmagent.media import Image, Text
from mmagent.registry import Registry
from mmagent.tool import tool


def test_python_and_yaml_give_the_same_graph() -> None:
    built = GraphBuilder("show", doc="Show.", lossy=True, registry=testing.registry())
    line = built.input("line", "text | None")
    cut = built.add("cut", "halve", text=line)
    drawn = built.add("drawn", testing.blank, {"timeout": 60, "retries": 1, "seed": 3}, text=cut.first, size=4)
    both = built.add("both", "join", texts=[cut.first, "cut.rest", line], between=", ")
    built.output("picture", drawn)
    built.output("text", both.text)
    assert built.build() == yaml.parse(
        "graph: show\ndoc: Show.\nlossy: allow\ninputs: {line: text | None}\noutputs: {picture: drawn, text: both.text}\n"
        "nodes:\n  cut: {tool: halve.v1, in: {text: line}}\n"
        "  drawn: {tool: blank.v1, in: {text: cut.first}, settings: {size: 4}, timeout: 60, retries: 1, seed: 3}\n"
        "  both: {tool: join.v1, in: {texts: [cut.first, cut.rest, line]}, settings: {between: ', '}}"
    )


def test_tools_given_as_objects_stay_with_the_builder() -> None:
    @tool
    def only_here(text: Text) -> Text:
        """A tool of this test."""
        return text

    shared = Registry()
    built = GraphBuilder("mine", registry=shared)
    built.output("o", built.add("a", only_here, text=built.input("t", Text)))
    assert built.build().nodes["a"] == NodeSpec("only-here.v1", {"text": "t"})
    assert built.registry.card("only-here") is only_here.card
    assert "only-here.v1" not in [card.name for card in shared.cards()]


def test_inputs_are_classes_text_or_ports() -> None:
    built = GraphBuilder("ins", registry=testing.registry())
    for name, given in (("a", Image), ("b", "list[image(width=3)]"), ("c", Port("x", "text", optional=True))):
        built.output(f"{name}-out", built.input(name, given))
    assert built.build().inputs == {
        "a": Port("a", "image"),
        "b": Port("b", "image", many=True, constraints={"width": 3}),
        "c": Port("c", "text", optional=True),
    }
    with pytest.raises(CardError, match=r"graph ins, input d: .* is no port"):
        built.input("d", "list[")


def test_a_graph_is_added_like_a_tool() -> None:
    inner = GraphBuilder("inner", registry=testing.registry())
    inner.output("text", inner.add("up", "upper", text=inner.input("line", "text")))
    outer = GraphBuilder("outer", registry=testing.registry())
    outer.output("o", outer.add("deep", inner.build(), line=outer.input("t", "text")).text)
    assert [node.name for node in outer.checked().nodes] == ["deep/up"]


def test_building_reports_all_faults_at_once() -> None:
    built = GraphBuilder("bad", registry=testing.registry())
    picture = built.input("picture", "image")
    built.output("o", built.add("a", "no-such-tool", anything=picture, x=3))
    built.output("p", built.add("b", "upper", txt=picture))
    with pytest.raises(GraphError) as caught:
        built.build()
    assert [(fault.node, fault.port) for fault in caught.value.faults] == [("a", ""), ("b", "text"), ("b", "txt")]


def test_a_wrong_output_or_a_second_name_is_refused_at_once() -> None:
    built = GraphBuilder("bad", registry=testing.registry())
    cut = built.add("cut", "halve", text=built.input("t", "text"))
    with pytest.raises(AttributeError, match=r"node cut \(halve.v1\) has no output 'third'; it has first, rest"):
        _ = cut.third
    with pytest.raises(CardError, match="already"):
        built.add("cut", "upper", text=cut.first)
    built.output("o", cut.first)
    with pytest.raises(CardError, match="already"):
        built.output("o", cut.first)


def test_each_and_fallback_are_options() -> None:
    built = GraphBuilder("opts", registry=testing.registry())
    words = built.add("words", "words", text=built.input("t", "text"))
    loud = built.add("loud", testing.upper, {"each": "text", "fallback": [testing.upper]}, text=words)
    built.output("o", loud)
    (_, node) = built.checked().nodes
    assert node.spec.each == "text"
    assert [item.card.name for item in node.fallbacks] == ["upper.v1"]
