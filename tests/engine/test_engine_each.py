"""Nodes that run once per item of a list."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from mmagent.engine import Engine
from mmagent.errors import NodeFailed
from mmagent.graph.builder import GraphBuilder
from mmagent.graph.checked import CheckedGraph
from mmagent.media import Text
from mmagent.registry import Registry
from mmagent.tool import Context, FunctionTool, tool

Build = Callable[..., GraphBuilder]


def over(build: Build, step: FunctionTool[..., Text]) -> tuple[CheckedGraph, Registry]:
    graph = build()
    graph.output("texts", graph.add("n", step, {"each": "text"}, text=graph.input("texts", "list[text]")))
    return graph.checked(), graph.registry


def texts(*words: str) -> dict[str, list[Text]]:
    return {"texts": [Text(word) for word in words]}


@pytest.mark.parametrize("inline", [True, False])
def test_outputs_are_lists_in_the_order_of_the_items(engine: Engine, build: Build, inline: bool) -> None:
    @tool(inline=inline)
    def shout(text: Text) -> Text:
        return Text(text.text.upper())

    checked, registry = over(build, shout)
    result = engine.run(checked, texts("a", "b", "c"), registry=registry)
    assert result.outputs == texts("A", "B", "C")
    assert sorted(call.node for call in result.calls) == ["n[0]", "n[1]", "n[2]"]
    started = {event.node: event for event in result.events if event.kind == "started"}
    assert {started[f"n[{index}]"].parent for index in range(3)} == {started["n"].span}
    assert len({event.span for event in started.values()}) == 4


def test_items_run_side_by_side(engine: Engine, build: Build) -> None:
    meet = threading.Barrier(4, timeout=20)

    @tool(cacheable=False)
    def wait(text: Text) -> Text:
        meet.wait()
        return text

    checked, registry = over(build, wait)
    assert engine.run(checked, texts(*"abcd"), registry=registry).outputs == texts(*"abcd")


def test_items_of_an_exclusive_tool_run_one_after_another_in_order(engine: Engine, build: Build) -> None:
    seen: list[str] = []
    inside = threading.Lock()

    @tool(cacheable=False, concurrency="exclusive")
    def note(text: Text) -> Text:
        assert inside.acquire(blocking=False)
        seen.append(text.text)
        inside.release()
        return text

    checked, registry = over(build, note)
    engine.run(checked, texts(*"abcdefgh"), registry=registry)
    assert seen == list("abcdefgh")


def test_an_empty_list_makes_empty_lists(engine: Engine, build: Build) -> None:
    @tool
    def never(text: Text) -> Text:
        raise AssertionError

    checked, registry = over(build, never)
    assert engine.run(checked, texts(), registry=registry).outputs == {"texts": []}


def test_items_have_seeds_of_their_own(engine: Engine, build: Build) -> None:
    @tool(cacheable=False)
    def roll(text: Text, ctx: Context) -> Text:
        return Text(str(ctx.seed))

    checked, registry = over(build, roll)
    outputs = engine.run(checked, texts("a", "a", "a"), registry=registry).outputs["texts"]
    assert isinstance(outputs, list)
    assert len(set(outputs)) == 3


def test_equal_items_are_computed_once(engine: Engine, build: Build) -> None:
    calls: list[str] = []

    @tool
    def note(text: Text) -> Text:
        calls.append(text.text)
        return Text(text.text + "!")

    checked, registry = over(build, note)
    assert engine.run(checked, texts("a", "b", "a"), registry=registry).outputs == texts("a!", "b!", "a!")
    assert sorted(calls) == ["a", "b"]


def test_absent_results_are_left_out_of_the_list(engine: Engine, build: Build) -> None:
    @tool
    def short(text: Text) -> Text | None:
        return text if len(text.text) < 2 else None

    graph = build()
    graph.output("texts", graph.add("n", short, {"each": "text"}, text=graph.input("texts", "list[text]")))
    assert engine.run(graph.checked(), texts("a", "bb", "c"), registry=graph.registry).outputs == texts("a", "c")


def test_a_failing_item_fails_the_node_after_the_others_have_ended(engine: Engine, build: Build) -> None:
    ended: list[str] = []

    @tool(cacheable=False)
    def picky(text: Text) -> Text:
        if text.text == "b":
            raise ValueError("not b")
        ended.append(text.text)
        return text

    checked, registry = over(build, picky)
    result = engine.run(checked, texts("a", "b", "c"), partial=True, registry=registry)
    assert sorted(ended) == ["a", "c"]
    assert result.outputs == {}
    with pytest.raises(NodeFailed, match=r"node n\[1\]"):
        result.raise_failure()
