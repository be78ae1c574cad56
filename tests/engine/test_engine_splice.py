"""Subgraphs that join a run while a node goes on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from mmagent.card import Port
from mmagent.engine import Engine
from mmagent.errors import GraphError, NodeFailed, RunError
from mmagent.graph.builder import GraphBuilder
from mmagent.graph.checked import CheckedGraph
from mmagent.graph.spec import GraphSpec, NodeSpec
from mmagent.media import Media, Text
from mmagent.registry import Registry
from mmagent.tool import Context, FunctionTool, tool

Build = Callable[..., GraphBuilder]
X = {"text": Text("x")}


def spec(tool_name: str) -> GraphSpec:
    return GraphSpec(
        "sub", {"text": Port("text", "text")}, {"m": NodeSpec(tool_name, {"text": "text"})}, {"text": "m.text"}
    )


@tool(cacheable=False)
def mark(text: Text) -> Text:
    """Add a sign."""
    return Text(text.text + "!")


@tool(cacheable=False)
def fail(text: Text) -> Text:
    """Never work."""
    raise ValueError("never")


def one(build: Build, step: FunctionTool[..., Any], *known: FunctionTool[..., Any]) -> tuple[CheckedGraph, Registry]:
    graph = build()
    graph.registry.add(mark, fail, *known)
    graph.output("text", graph.add("n", step, text=graph.input("text", Text)))
    return graph.checked(), graph.registry


def test_a_splice_runs_while_its_node_goes_on(engine: Engine, build: Build) -> None:
    reached = threading.Event()

    @tool(cacheable=False)
    def reach(text: Text) -> Text:
        reached.set()
        return Text(text.text + "!")

    @tool(cacheable=False)
    def speak(text: Text, ctx: Context) -> Text:
        ctx.splice(spec("reach"), {"text": Text("in")}, "0")
        assert reached.wait(20)
        return text

    checked, registry = one(build, speak, reach)
    result = engine.run(checked, X, registry=registry)
    assert result.outputs == X
    assert result.spliced["0"].outputs == {"text": Text("in!")}
    events = {(event.kind, event.node): event for event in result.events}
    assert events["started", "0/m"].parent == events["started", "n"].span
    assert events["spliced", "n"].data == "0"
    assert {call.node for call in result.calls} == {"n", "0/m"}
    assert [call.node for call in result.spliced["0"].calls] == ["0/m"]


def test_the_run_ends_only_when_its_splices_have(engine: Engine, build: Build) -> None:
    over = threading.Event()

    @tool(cacheable=False)
    def late(text: Text) -> Text:
        assert over.wait(20)
        return Text("late")

    @tool(cacheable=False)
    async def speak(text: Text, ctx: Context) -> Text:
        splice = ctx.splice(spec("late"), {"text": text}, "later")
        assert not splice.done
        asyncio.get_running_loop().call_later(0.05, over.set)
        return text

    checked, registry = one(build, speak, late)
    assert engine.run(checked, X, registry=registry).spliced["later"].outputs == {"text": Text("late")}


def test_splices_may_splice(engine: Engine, build: Build) -> None:
    @tool(cacheable=False)
    def deeper(text: Text, ctx: Context) -> Text:
        if len(text.text) < 4:
            ctx.splice(spec("deeper"), {"text": Text(text.text + "x")}, "down")
        return text

    checked, registry = one(build, deeper)
    result = engine.run(checked, X, registry=registry)
    inner = result.spliced["down"].spliced["down"].spliced["down"]
    assert inner.outputs == {"text": Text("xxxx")}
    assert [call.node for call in inner.calls] == ["down/down/down/m"]


@pytest.mark.parametrize("inputs", [{}, {"text": Text("a"), "more": Text("b")}])
def test_a_splice_whose_inputs_do_not_fit_is_refused_and_nothing_starts(
    engine: Engine, build: Build, inputs: Mapping[str, Media]
) -> None:
    refused: list[GraphError] = []

    @tool(cacheable=False)
    def speak(text: Text, ctx: Context) -> Text:
        for graph in (spec("mark"), spec("unheard-of")):
            try:
                ctx.splice(graph, inputs, "0")
            except GraphError as error:
                refused.append(error)
        return text

    checked, registry = one(build, speak)
    result = engine.run(checked, X, registry=registry)
    assert len(refused) == 2
    assert result.spliced == {}
    assert [event.node for event in result.events if event.kind == "started"] == ["n"]


def test_a_failing_splice_does_not_fail_its_node(engine: Engine, build: Build) -> None:
    @tool(cacheable=False)
    def speak(text: Text, ctx: Context) -> Text:
        ctx.splice(spec("fail"), {"text": text}, "bad")
        ctx.splice(spec("mark"), {"text": text}, "good")
        return text

    checked, registry = one(build, speak)
    result = engine.run(checked, X, registry=registry)
    assert result.failures == {}
    assert result.spliced["good"].outputs == {"text": Text("x!")}
    assert isinstance(result.spliced["bad"].failures["bad/m"], NodeFailed)


def test_a_place_is_filled_by_one_node_alone(engine: Engine, build: Build) -> None:
    @tool(cacheable=False)
    def speak(text: Text, ctx: Context) -> Text:
        ctx.splice(spec("mark"), {"text": text}, "0")
        return text

    graph = build()
    graph.registry.add(mark)
    first = graph.add("a", speak, text=graph.input("text", Text))
    graph.output("text", graph.add("b", speak, text=first))
    with pytest.raises(NodeFailed, match="place '0', which another node has filled") as caught:
        engine.run(graph.checked(), X, registry=graph.registry)
    assert isinstance(caught.value.__cause__, RunError)


def test_a_repeated_attempt_finds_its_splice_again(engine: Engine, build: Build) -> None:
    attempts: list[int] = []

    @tool(cacheable=False)
    def speak(text: Text, ctx: Context) -> Text:
        ctx.splice(spec("mark"), {"text": text}, "0")
        attempts.append(1)
        if len(attempts) < 3:
            raise ValueError("again")
        return text

    graph = build()
    graph.registry.add(mark)
    graph.output("text", graph.add("n", speak, {"retries": 2}, text=graph.input("text", Text)))
    result = engine.run(graph.checked(), X, registry=graph.registry)
    assert result.spliced["0"].outputs == {"text": Text("x!")}
    assert [call.node for call in result.calls].count("0/m") == 1


def test_a_result_whose_making_spliced_is_not_taken_from_the_cache(engine: Engine, build: Build) -> None:
    @tool
    def speak(text: Text, ctx: Context) -> Text:
        ctx.splice(spec("mark"), {"text": text}, "0")
        return text

    checked, registry = one(build, speak)
    for _ in range(2):
        assert engine.run(checked, X, registry=registry).spliced["0"].outputs == {"text": Text("x!")}
