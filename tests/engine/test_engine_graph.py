"""Graphs as users hold them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from mmagent.card import Port
from mmagent.engine import Engine
from mmagent.engine.graph import Graph
from mmagent.errors import GraphError, UnknownName
from mmagent.graph.builder import GraphBuilder
from mmagent.graph.spec import GraphSpec, NodeSpec
from mmagent.media import Text
from mmagent.testing import upper
from mmagent.tool import Context, tool

Build = Callable[..., GraphBuilder]


@tool
def mark(text: Text, sign: str = "!") -> Text:
    """Add a sign."""
    return Text(text.text + sign)


@pytest.fixture
def graph(engine: Engine, build: Build) -> Graph:
    made = build("two-marks", doc="Mark a text twice.")
    first = made.add("first", mark, text=made.input("text", Text))
    made.output("once", first)
    made.output("twice", made.add("second", mark, text=first, sign="?"))
    return Graph(made.build(), registry=made.registry, engine=engine)


def test_a_graph_runs_by_keywords_and_gives_its_outputs_by_name(graph: Graph) -> None:
    assert graph.run(text=Text("a")) == {"once": Text("a!"), "twice": Text("a!?")}
    with pytest.raises(GraphError, match="port texts: expected one of text"):
        graph.run(texts=Text("a"))


async def test_a_graph_runs_in_all_four_ways(graph: Graph) -> None:
    outputs = {"once": Text("a!"), "twice": Text("a!?")}
    assert graph.run(text=Text("a")) == await graph.arun(text=Text("a")) == outputs
    stream, astream = graph.stream(text=Text("a")), graph.astream(text=Text("a"))
    assert [event.kind for event in stream] == [event.kind async for event in astream]
    assert stream.result.outputs == astream.result.outputs == outputs


def test_an_engine_runs_a_graph_with_options_and_the_tools_that_it_carries(graph: Graph, engine: Engine) -> None:
    result = engine.run(graph, {"text": Text("a")}, wanted=["once"], seed=3)
    assert list(result.outputs) == ["once"]
    assert [call.node for call in result.calls] == ["first"]


def test_an_input_may_have_any_name(engine: Engine, build: Build) -> None:
    made = build()
    made.output("marked", made.add("mark", mark, text=made.input("self", Text)))
    graph = Graph(made, engine=engine)
    assert graph.run(self=Text("a")) == {"marked": Text("a!")}


def test_a_graph_is_made_of_a_builder_with_its_tools_and_graphs_at_any_depth(engine: Engine, build: Build) -> None:
    made = [build(f"depth-{depth}") for depth in range(3)]
    made[0].output("out", made[0].add("mark", mark, text=made[0].input("text", Text)))
    for inner, outer in pairwise(made):
        outer.output("out", outer.add("deep", Graph(inner), text=outer.input("text", Text)))
    graph = Graph(made[2], engine=engine)
    assert graph.run(text=Text("a")) == {"out": Text("a!")}


def test_what_a_builder_is_given_later_is_not_the_graphs(engine: Engine, build: Build) -> None:
    made = build()
    made.output("marked", made.add("mark", mark, text=made.input("text", Text)))
    graph = Graph(made, engine=engine)
    made.add("loud", upper, text="mark")
    made.output("loud", "loud")
    assert list(graph.spec.nodes) == ["mark"]
    assert graph.library.registry.get("upper") is None
    assert list(Graph(made).spec.nodes) == ["mark", "loud"]


def test_a_node_splices_a_graph_in_with_the_tools_that_it_carries(graph: Graph, engine: Engine, build: Build) -> None:
    @tool(cacheable=False)
    def splicing(text: Text, ctx: Context) -> Text:
        """Splice the graph in."""
        ctx.splice(graph, {"text": text}, "marks")
        return text

    made = build("outer")
    made.output("same", made.add("splice", splicing, text=made.input("text", Text)))
    result = engine.run(Graph(made), {"text": Text("a")})
    assert result.spliced["marks"].outputs == {"once": Text("a!"), "twice": Text("a!?")}


async def test_a_node_splices_a_spec_in_whose_tools_its_own_graph_carries(engine: Engine, build: Build) -> None:
    inner = GraphSpec("inner", {"t": Port("t", "text")}, {"m": NodeSpec("mark", {"text": "t"})}, {"out": "m"})

    @tool(cacheable=False)
    def splicing(text: Text, ctx: Context) -> Text:
        """Splice the spec in."""
        ctx.splice(inner, {"t": text}, "marks")
        return text

    made = build("outer")
    made.output("same", made.add("splice", splicing, text=made.input("text", Text)))
    made.output("marked", made.add("mark", mark, text="text"))
    graph = Graph(made)
    for result in (
        engine.run(graph, {"text": Text("a")}),
        engine.run(graph.plan(), {"text": Text("a")}),
        await engine.arun(graph, {"text": Text("a")}),
    ):
        assert result.spliced["marks"].outputs == {"out": Text("a!")}


def test_a_graph_is_a_tool_with_a_card(graph: Graph) -> None:
    card = graph.card
    assert (card.name, card.doc) == ("two-marks.v1", "Mark a text twice.")
    assert [port.name for port in (*card.inputs, *card.outputs)] == ["text", "once", "twice"]


def test_a_graph_is_saved_and_opened_again(graph: Graph, engine: Engine, tmp_path: Path) -> None:
    path = graph.save(tmp_path / "two-marks.yaml")
    again = Graph(path, registry=graph.library.registry, engine=engine)
    assert again.spec.without_origin() == graph.spec.without_origin()
    assert again.run(text=Text("b"))["twice"] == Text("b!?")


def test_a_graph_shows_itself(graph: Graph) -> None:
    assert repr(graph) == "Graph('two-marks')"
    assert "second" in graph.mermaid()
    assert graph.svg().lstrip().startswith("<svg")
    assert "<svg" in graph._repr_html_()


def test_a_graph_that_does_not_exist_or_check_is_refused_when_it_is_made(build: Build) -> None:
    with pytest.raises(UnknownName):
        Graph("no-such-graph-anywhere")
    with pytest.raises(GraphError):
        Graph(build("empty")._spec())


def test_importing_graph_brings_in_nothing_heavy() -> None:
    heavy = ("torch", "transformers", "langchain_core", "networkx", "pydantic", "asyncio", "numpy")
    code = f"import sys; from mmagent.engine.graph import Graph; print([n for n in {heavy} if n in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert answer.stdout.strip() == "[]"
