"""One call: attempts, fallbacks, timeouts, what it says, how it is stopped."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from mmagent.engine import CancelToken, Engine, Event
from mmagent.errors import Cancelled, NodeFailed, NodeTimeout
from mmagent.graph.builder import GraphBuilder, NodeOptions
from mmagent.graph.checked import CheckedGraph
from mmagent.media import Text
from mmagent.registry import Registry
from mmagent.tool import Context, FunctionTool, tool

Build = Callable[..., GraphBuilder]
X = {"text": Text("x")}


def one(build: Build, step: Any, options: NodeOptions | None = None) -> tuple[CheckedGraph, Registry]:
    graph = build()
    graph.output("text", graph.add("n", step, options, text=graph.input("text", Text)))
    return graph.checked(), graph.registry


def failing(times: int, *, inline: bool = False, name: str = "flaky") -> FunctionTool[..., Text]:
    left = [times]

    @tool(name=name, cacheable=False, inline=inline)
    def flaky(text: Text) -> Text:
        left[0] -= 1
        if left[0] >= 0:
            raise ValueError("not yet")
        return Text(name)

    return flaky


@pytest.mark.parametrize("inline", [True, False])
def test_a_failed_call_is_repeated_as_often_as_the_node_says(engine: Engine, build: Build, inline: bool) -> None:
    checked, registry = one(build, failing(2, inline=inline), {"retries": 2})
    result = engine.run(checked, X, registry=registry)
    assert result.calls[0].attempts == 3
    assert [event.kind for event in result.events] == ["started", "retried", "retried", "finished"]


def test_when_the_repeats_are_used_up_the_node_fails_with_the_last_cause(engine: Engine, build: Build) -> None:
    checked, registry = one(build, failing(3), {"retries": 2})
    with pytest.raises(NodeFailed, match="not yet"):
        engine.run(checked, X, registry=registry)


def test_fallbacks_are_tried_in_order(engine: Engine, build: Build) -> None:
    options: NodeOptions = {"fallback": [failing(1, name="second"), failing(0, name="third")]}
    checked, registry = one(build, failing(1), options)
    result = engine.run(checked, X, registry=registry)
    assert result.outputs["text"] == Text("third")
    assert (result.calls[0].tool, result.calls[0].attempts) == ("third.v1", 3)


def test_a_call_without_progress_times_out_and_its_late_result_is_dropped(engine: Engine, build: Build) -> None:
    go = threading.Event()

    @tool(cacheable=False)
    def stuck(text: Text) -> Text:
        go.wait(20)
        return text

    checked, registry = one(build, stuck, {"timeout": 0.05})
    with pytest.raises(NodeTimeout, match=r"node n \(stuck\.v1\) showed no progress for 0\.05 s"):
        engine.run(checked, X, registry=registry)
    go.set()


def test_progress_restarts_the_timeout(engine: Engine, build: Build) -> None:
    @tool(cacheable=False)
    def slow(text: Text, ctx: Context) -> Text:
        for step in range(8):
            time.sleep(0.1)
            ctx.progress(step, 8, "on the way")
        return text

    checked, registry = one(build, slow, {"timeout": 0.5})
    result = engine.run(checked, X, registry=registry)
    assert [event.data for event in result.events if event.kind == "progress"][-1] == (7, 8, "on the way")


def test_a_timed_out_call_is_told_to_stop(engine: Engine, build: Build) -> None:
    told = threading.Event()

    @tool(cacheable=False)
    def patient(text: Text, ctx: Context) -> Text:
        while not ctx.cancelled:
            time.sleep(0.005)
        with pytest.raises(Cancelled):
            ctx.progress(1)
        told.set()
        return text

    checked, registry = one(build, patient, {"timeout": 0.05})
    with pytest.raises(NodeTimeout):
        engine.run(checked, X, registry=registry)
    assert told.wait(20)


def test_an_async_call_times_out_too(engine: Engine, build: Build) -> None:
    stopped = threading.Event()

    @tool(cacheable=False)
    async def stuck(text: Text) -> Text:
        try:
            await asyncio.sleep(30)
        finally:
            stopped.set()
        return text

    checked, registry = one(build, stuck, {"timeout": 0.05, "fallback": [failing(0, name="other")]})
    assert engine.run(checked, X, registry=registry).outputs["text"] == Text("other")
    assert stopped.wait(20)


def cancel_when(started: threading.Event, token: CancelToken) -> None:
    assert started.wait(20)
    token.cancel()


def cancelled_when_started(engine: Engine, checked: CheckedGraph, registry: Registry, started: threading.Event) -> None:
    token = CancelToken()
    threading.Thread(target=cancel_when, args=(started, token)).start()
    with pytest.raises(Cancelled, match="graph test was cancelled"):
        engine.run(checked, X, cancel=token, registry=registry)


def test_cancel_reaches_a_tool_in_a_thread(engine: Engine, build: Build) -> None:
    started, stopped = threading.Event(), threading.Event()

    @tool(cacheable=False)
    def long(text: Text, ctx: Context) -> Text:
        started.set()
        try:
            while True:
                time.sleep(0.005)
                ctx.check()
        finally:
            stopped.set()

    checked, registry = one(build, long)
    cancelled_when_started(engine, checked, registry, started)
    assert stopped.wait(20)


def test_cancel_reaches_an_async_tool(engine: Engine, build: Build) -> None:
    started, stopped = threading.Event(), threading.Event()

    @tool(cacheable=False)
    async def long(text: Text) -> Text:
        started.set()
        try:
            await asyncio.sleep(30)
        finally:
            stopped.set()
        return text

    checked, registry = one(build, long)
    cancelled_when_started(engine, checked, registry, started)
    assert stopped.wait(20)


def test_a_run_ends_at_once_when_cancelled_even_if_a_thread_does_not_listen(engine: Engine, build: Build) -> None:
    started, go = threading.Event(), threading.Event()

    @tool(cacheable=False)
    def deaf(text: Text) -> Text:
        started.set()
        go.wait(20)
        return text

    graph = build()
    text = graph.input("text", Text)
    graph.output("after", graph.add("after", failing(0), text=graph.add("deaf", deaf, text=text)))
    token = CancelToken()
    threading.Thread(target=cancel_when, args=(started, token)).start()
    result = engine.run(graph.checked(), X, cancel=token, partial=True, registry=graph.registry)
    go.set()
    assert result.cancelled
    assert result.outputs == {}
    assert [(call.node, call.status) for call in result.calls] == [("deaf", "cancelled")]
    assert isinstance(result.failures["deaf"], Cancelled)


def test_a_token_that_was_cancelled_before_lets_nothing_start(engine: Engine, build: Build) -> None:
    token = CancelToken()
    token.cancel()
    events: list[Event] = []
    checked, registry = one(build, failing(0))
    with pytest.raises(Cancelled):
        engine.run(checked, X, cancel=token, on_event=events.append, registry=registry)
    assert events == []


def test_tokens_and_previews_are_told_in_order(engine: Engine, build: Build) -> None:
    @tool(cacheable=False)
    async def talk(text: Text, ctx: Context) -> Text:
        ctx.token("a")
        ctx.preview(Text("a"))
        ctx.token("b")
        return Text("ab")

    checked, registry = one(build, talk)
    heard: list[Event] = []
    engine.run(checked, X, on_event=heard.append, registry=registry)
    assert [(event.kind, event.data) for event in heard] == [
        ("started", None), ("token", "a"), ("preview", Text("a")), ("token", "b"), ("finished", {"text": Text("ab")})
    ]  # fmt: skip


@tool(cacheable=False)
def count(text: Text) -> Iterator[Text]:
    """Three texts, one after another."""
    for number in "123":
        yield Text(text.text + number)


@tool(cacheable=False)
async def count_async(text: Text) -> AsyncIterator[Text]:
    """The same on the loop."""
    for number in "123":
        await asyncio.sleep(0)
        yield Text(text.text + number)


@pytest.mark.parametrize("step", [count, count_async])
def test_a_tool_that_yields_previews_each_item_and_gives_the_last(
    engine: Engine, build: Build, step: FunctionTool[..., Any]
) -> None:
    checked, registry = one(build, step)
    result = engine.run(checked, X, registry=registry)
    assert result.outputs["text"] == Text("x3")
    assert [event.data for event in result.events if event.kind == "preview"] == [Text("x1"), Text("x2"), Text("x3")]


def test_a_tool_that_yields_into_a_list_port_gives_all(engine: Engine, build: Build) -> None:
    @tool(cacheable=False)
    def pairs(text: Text) -> Iterator[list[Text]]:
        for number in "12":
            yield [Text(number), Text(text.text)]

    checked, registry = one(build, pairs)
    assert engine.run(checked, X, registry=registry).outputs["text"] == [Text(part) for part in "1x2x"]


def test_a_generator_is_closed_when_its_run_is_cancelled(engine: Engine, build: Build) -> None:
    started, closed = threading.Event(), threading.Event()

    @tool(cacheable=False)
    def endless(text: Text) -> Iterator[Text]:
        try:
            while True:
                started.set()
                time.sleep(0.005)
                yield text
        finally:
            closed.set()

    checked, registry = one(build, endless)
    cancelled_when_started(engine, checked, registry, started)
    assert closed.wait(20)


def test_only_media_may_be_previewed(engine: Engine, build: Build) -> None:
    @tool(cacheable=False)
    def wrong(text: Text, ctx: Context) -> Text:
        ctx.preview("half")  # type: ignore[arg-type]  # what the test is about
        return text

    checked, registry = one(build, wrong)
    with pytest.raises(NodeFailed, match=r"ctx\.preview: expected media, got str"):
        engine.run(checked, X, registry=registry)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_tool_that_yields_what_is_not_media_is_told_so(engine: Engine, build: Build, asynchronous: bool) -> None:
    @tool(name="wrong", cacheable=False)
    def wrong(text: Text) -> Iterator[Text]:
        yield 3  # type: ignore[misc]  # what the test is about

    @tool(name="wrong", cacheable=False)
    async def wrong_async(text: Text) -> AsyncIterator[Text]:
        yield 3  # type: ignore[misc]  # the same

    checked, registry = one(build, wrong_async if asynchronous else wrong)
    with pytest.raises(NodeFailed, match="expected text, yielded int, which is not media"):
        engine.run(checked, X, registry=registry)
