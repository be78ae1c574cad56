"""Graphs written in Python are the graphs that YAML would give."""

from __future__ import annotations

from typing import Any

import pytest

from mmagent import testing
from mmagent.card import Port
from mmagent.engine.graph import Graph
from mmagent.errors import CardError, GraphError
from mmagent.graph import yaml
from mmagent.graph.builder import GraphBuilder
from mmagent.graph.spec import NodeSpec
from mmagent.media import Image, Text
from mmagent.registry import Registry
from mmagent.tool import FunctionTool, tool


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


def other(name: str, sign: str) -> FunctionTool[Any, Any]:
    """A tool of that name that adds that sign."""

    @tool(name=name)
    def mark(text: Text) -> Text:
        """Add a sign."""
        return Text(text.text + sign)

    return mark


def graph_of(name: str, item: Any) -> Graph:
    """A graph that calls one tool."""
    built = GraphBuilder(name, registry=Registry())
    built.output("text", built.add("only", item, text=built.input("text", "text")))
    return Graph(built)


def test_a_name_stands_for_one_tool_in_a_graph() -> None:
    built = GraphBuilder("marks", registry=Registry())
    mine = other("mark", "!")
    built.add("a", mine, text=built.input("t", "text"))
    built.add("b", mine, text="a")
    with pytest.raises(CardError, match=r"another tool mark.v1 was added here before; give one of them a name"):
        built.add("c", other("mark", "?"), text="a")
    with pytest.raises(CardError, match=r"another tool mark.v1"):
        built.add("c", graph_of("inner", other("mark", "?")), text="a")
    assert built.registry.get("mark") is mine


def test_a_name_that_a_node_was_given_keeps_what_it_stood_for() -> None:
    built = GraphBuilder("sizes")
    built.add("a", "resize", image=built.input("p", "image"))
    with pytest.raises(CardError, match=r"a node calls resize.v1 by its name, and now another resize.v1 came"):
        built.add("b", other("resize", "!"), text="a")


def test_a_name_stands_for_one_graph_in_a_graph() -> None:
    built = GraphBuilder("outer", registry=testing.registry())
    inner = graph_of("inner", testing.upper)
    built.add("a", inner, text=built.input("t", "text"))
    built.add("b", inner.spec, text="a")
    for another in (graph_of("inner", testing.words), graph_of("inner", testing.words).spec):
        with pytest.raises(CardError, match="another graph inner was added here before"):
            built.add("c", another, text="a")
    with pytest.raises(CardError, match="graph upper has the name of a tool, which hides it"):
        built.add("c", graph_of("upper", testing.words), text="a")


def test_a_graph_brings_the_tools_that_it_names_and_no_others() -> None:
    built = GraphBuilder("outer", registry=Registry())
    made = GraphBuilder("inner", registry=testing.registry())
    made.output("text", made.add("up", testing.upper, {"fallback": [other("mark", "!")]}, text=made.input("t", "text")))
    built.output("text", built.add("deep", Graph(made), t=built.input("t", "text")))
    assert sorted(built.registry.added) == ["mark.v1", "upper.v1"]
    assert [node.name for node in built.checked().nodes] == ["deep/up"]


def test_a_graph_of_graphs_brings_them_all() -> None:
    middle = GraphBuilder("middle", registry=Registry())
    inner = graph_of("inner", other("mark", "!"))
    middle.output("text", middle.add("deep", inner, text=middle.input("text", "text")))
    outer = GraphBuilder("outer", registry=Registry())
    outer.output("text", outer.add("deep", Graph(middle), text=outer.input("text", "text")))
    assert {graph.name for graph in outer.library.added} == {"inner", "middle"}
    assert [node.name for node in outer.checked().nodes] == ["deep/deep/only"]


def test_an_unknown_option_is_refused_and_a_setting_may_be_called_options() -> None:
    @tool
    def choose(text: Text, options: str) -> Text:
        """Choose."""
        return text

    built = GraphBuilder("opts", registry=Registry())
    with pytest.raises(CardError, match="graph opts, node a: there is no option 'retry'; did you mean retries"):
        built.add("a", choose, {"retry": 3}, text=built.input("t", "text"))  # type: ignore[arg-type]  # wrong on purpose
    built.output("o", built.add("a", choose, text="t", options="b"))
    assert built.build().nodes["a"].settings == {"options": "b"}


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
