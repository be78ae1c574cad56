"""The law of the engine: however a graph is run, it gives what plain calls in order give."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmagent.engine import Cache, CancelToken, Engine, Event, keys
from mmagent.graph.builder import GraphBuilder, NodeOptions
from mmagent.graph.checked import CheckedGraph
from mmagent.media import Text
from mmagent.registry import Registry
from mmagent.tool import FunctionTool, Tool, tool


def meaning(texts: list[str], sign: str) -> str:
    return str(hash((tuple(texts), sign)) % 1000) + sign


@tool(inline=True)
def inline(texts: list[Text], sign: str) -> Text:
    """In place."""
    return Text(meaning([text.text for text in texts], sign))


@tool
def threaded(texts: list[Text], sign: str) -> Text:
    """In a thread, cached."""
    return Text(meaning([text.text for text in texts], sign))


@tool(cacheable=False)
async def looped(texts: list[Text], sign: str) -> Text:
    """On the loop."""
    await asyncio.sleep(0)
    return Text(meaning([text.text for text in texts], sign))


class Lent(Tool, name="lent.v1", concurrency="exclusive"):
    """In a thread, one at a time."""

    def run(self, texts: list[Text], sign: str) -> Text:
        return Text(meaning([text.text for text in texts], sign))


@tool(name="fails-inline", inline=True)
def fails_inline(texts: list[Text], sign: str) -> Text:
    """Fail in place."""
    raise ValueError(sign)


@tool(name="fails")
def fails(texts: list[Text], sign: str) -> Text:
    """Fail in a thread."""
    raise ValueError(sign)


@tool(name="fails-on-loop")
async def fails_on_loop(texts: list[Text], sign: str) -> Text:
    """Fail on the loop."""
    raise ValueError(sign)


@tool(inline=True)
def straight(text: Text) -> Text:
    """In place, one input."""
    return Text(meaning([text.text], "straight"))


STEPS: list[Any] = [inline, threaded, looped, Lent, straight]


@st.composite
def graphs(draw: st.DrawFn) -> list[tuple[int, list[int]]]:
    """Nodes as (which tool, which earlier values; 0 is the input)."""
    nodes = []
    for index in range(draw(st.integers(1, 12))):
        sources = draw(st.lists(st.integers(0, index), min_size=1, max_size=4))
        nodes.append((draw(st.integers(0, len(STEPS) - 1)), sources))
    return nodes


@pytest.mark.parametrize("budget", [0, 2**20])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(nodes=graphs(), threads=st.sampled_from([1, 2, 8]), apart=st.booleans())
def test_a_random_graph_gives_what_plain_calls_give(
    nodes: list[tuple[int, list[int]]], threads: int, apart: bool, budget: int
) -> None:
    graph = GraphBuilder("random", registry=Registry())
    values: list[Any] = [graph.input("text", Text)]
    expected = ["start"]
    for index, (kind, sources) in enumerate(nodes):
        name, step = f"n{index}", STEPS[kind]
        if isinstance(step, FunctionTool) and step is straight:
            values.append(graph.add(name, step, text=values[sources[0]]))
            expected.append(meaning([expected[sources[0]]], "straight"))
        else:
            values.append(graph.add(name, step, texts=[values[source] for source in sources], sign=str(kind)))
            expected.append(meaning([expected[source] for source in sources], str(kind)))
        graph.output(f"o{index}", values[-1])
    engine = Engine(threads=threads, cache=Cache(budget))
    plan = engine.plan(graph.checked(), registry=graph.registry)
    try:
        for _ in range(2):
            if apart:
                stream = engine.stream(plan, {"text": Text("start")})
                ended = [event.node for event in stream if event.kind in ("finished", "cached")]
                result = stream.result
                assert sorted(ended) == sorted(f"n{index}" for index in range(len(nodes)))
            else:
                result = engine.run(plan, {"text": Text("start")})
            assert [str(value) for value in result.outputs.values()] == expected[1:]
            assert len(result.calls) == len(nodes)
    finally:
        engine.close()


def wired(nodes: list[tuple[int, list[int]]], steps: list[Any]) -> tuple[CheckedGraph, Registry]:
    """The graph of those nodes, all of which take lists; every node is an output."""
    graph = GraphBuilder("random", registry=Registry())
    values: list[Any] = [graph.input("text", Text)]
    for index, (kind, sources) in enumerate(nodes):
        texts = [values[source] for source in sources]
        values.append(graph.add(f"n{index}", steps[kind % len(steps)], texts=texts, sign=str(kind)))
        graph.output(f"n{index}", values[-1])
    return graph.checked(), graph.registry


@settings(max_examples=60, deadline=None)
@given(nodes=graphs(), threads=st.sampled_from([1, 4]))
def test_exactly_what_depends_on_a_failure_is_missing(nodes: list[tuple[int, list[int]]], threads: int) -> None:
    steps = [inline, threaded, fails_inline, looped, fails, Lent, fails_on_loop, inline, threaded, looped]
    lost: set[int] = set()
    failed: set[str] = set()
    for index, (kind, sources) in enumerate(nodes, 1):
        if lost & set(sources):
            lost.add(index)
        elif steps[kind % len(steps)] in (fails_inline, fails, fails_on_loop):
            lost.add(index)
            failed.add(f"n{index - 1}")
    engine = Engine(threads=threads)
    try:
        checked, registry = wired(nodes, steps)
        for _ in range(2):
            result = engine.run(checked, {"text": Text("start")}, partial=True, registry=registry)
            assert set(result.outputs) == {f"n{index - 1}" for index in range(1, len(nodes) + 1) if index not in lost}
            assert set(result.failures) == failed
            assert sorted(call.node for call in result.calls) == sorted(f"n{index}" for index in range(len(nodes)))
    finally:
        engine.close()


@settings(max_examples=60, deadline=None)
@given(nodes=graphs(), threads=st.sampled_from([1, 4]), after=st.integers(0, 12))
def test_a_run_that_is_cancelled_anywhere_ends_and_harms_no_other(
    nodes: list[tuple[int, list[int]]], threads: int, after: int
) -> None:
    steps = [inline, threaded, looped, Lent]
    engine = Engine(threads=threads)
    token = CancelToken()
    heard: list[Event] = []

    def listen(event: Event) -> None:
        heard.append(event)
        if len(heard) > after:
            token.cancel()

    try:
        checked, registry = wired(nodes, steps)
        whole = engine.stream(checked, {"text": Text("start")}, registry=registry)
        engine.run(checked, {"text": Text("start")}, partial=True, registry=registry, on_event=listen, cancel=token)
        again = engine.run(checked, {"text": Text("start")}, registry=registry)
        assert sum(event.kind in ("finished", "cached") for event in whole) == len(nodes)
        assert whole.result.outputs == again.outputs
        assert len(again.outputs) == len(nodes)
    finally:
        engine.close()


@settings(max_examples=60, deadline=None)
@given(
    texts=st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=4), sign=st.text(), number=st.floats()
)
def test_a_simple_node_has_the_key_that_it_has_on_the_long_way(texts: list[str], sign: str, number: float) -> None:
    @tool(inline=True)
    def several(texts: list[Text], last: Text, sign: str, number: float = 0.5) -> Text:
        return last

    engine, found = Engine(), []
    ways: list[NodeOptions | None] = [None, {"retries": 1}]  # with which a node is no simple one
    for options in ways:
        graph = GraphBuilder("test", registry=Registry())
        last = graph.input("last", Text)
        many = [graph.input(f"t{index}", Text) for index in range(len(texts))]
        node = graph.add("n", several, options, texts=many or [last], last=last, sign=sign, number=number)
        graph.output("out", node)
        plan = engine.plan(graph.checked(), registry=graph.registry)
        assert (plan.nodes[0].short is not None) == (options is None)
        inputs = {"last": Text("last"), **{f"t{index}": Text(text) for index, text in enumerate(texts)}}
        (call,) = engine.run(plan, inputs).calls
        found.append(call.key)
    assert found[0] == found[1]
    values = [("last", Text("last")), ("texts", [Text(text) for text in texts] or [Text("last")])]
    assert found[0] == keys.recipe(keys.prefix(several.card, {"number": number, "sign": sign}), None, values)
