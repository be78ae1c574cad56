"""The law of the engine: however a graph is run, it gives what plain calls in order give."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmagent.engine import Cache, Engine
from mmagent.graph.builder import GraphBuilder
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
