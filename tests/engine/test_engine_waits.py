"""What a timeout covers besides the call itself, and what the waiting costs others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mmagent.engine import CancelToken, Engine
from mmagent.errors import Cancelled, NodeTimeout
from mmagent.graph.builder import GraphBuilder, NodeOptions
from mmagent.graph.checked import CheckedGraph
from mmagent.media import Text
from mmagent.registry import Registry
from mmagent.tool import Context, Tool, tool

Build = Callable[..., GraphBuilder]
X = {"text": Text("x")}


def one(build: Build, step: Any, options: NodeOptions | None = None) -> tuple[CheckedGraph, Registry]:
    graph = build()
    graph.output("text", graph.add("n", step, options, text=graph.input("text", Text)))
    return graph.checked(), graph.registry


@pytest.fixture
def go() -> Iterator[threading.Event]:
    """What stuck tools wait for; set when the test is over."""
    event = threading.Event()
    yield event
    event.set()


def slow_to_load(go: threading.Event, loads: list[int]) -> type[Tool]:
    class Slow(Tool, name="slow.v1"):
        def load(self) -> None:
            loads.append(1)
            assert go.wait(20)

        def run(self, text: Text) -> Text:
            return Text(text.text + "!")

    return Slow


def test_the_timeout_covers_the_load_and_what_was_loaded_serves_the_next(
    engine: Engine, build: Build, go: threading.Event
) -> None:
    loads: list[int] = []
    step = slow_to_load(go, loads)
    checked, registry = one(build, step, {"timeout": 0.1})
    with pytest.raises(NodeTimeout, match=r"node n \(slow\.v1\) waited 0\.1 s for its load\(\) to end"):
        engine.run(checked, X, registry=registry)
    with pytest.raises(NodeTimeout, match=r"waited 0\.1 s for a load"):
        engine.run(checked, X, registry=registry)
    go.set()
    untimed, registry = one(build, step)
    assert engine.run(untimed, X, registry=registry).outputs == {"text": Text("x!")}
    assert engine.run(checked, X, registry=registry).outputs == {"text": Text("x!")}
    assert loads == [1]


def test_a_load_that_took_too_long_leads_to_the_fallback(engine: Engine, build: Build, go: threading.Event) -> None:
    @tool
    def other(text: Text) -> Text:
        return Text("other")

    checked, registry = one(build, slow_to_load(go, []), {"timeout": 0.05, "fallback": [other]})
    assert engine.run(checked, X, registry=registry).outputs == {"text": Text("other")}


@pytest.mark.parametrize("stuck_in", ["call", "load"])
@pytest.mark.parametrize("given_up_by", ["timeout", "cancel"])
def test_calls_that_were_given_up_leave_the_threads_to_others(
    build: Build, go: threading.Event, stuck_in: str, given_up_by: str
) -> None:
    engine = Engine(threads=2)
    inside = threading.Semaphore(0)

    @tool(cacheable=False)
    def stuck(text: Text) -> Text:
        inside.release()
        assert go.wait(20)
        return text

    class Stuck(Tool, name="stuck-load.v1", cacheable=False):
        def __init__(self, number: int) -> None:
            self.number = number

        def load(self) -> None:
            inside.release()
            assert go.wait(20)

        def run(self, text: Text) -> Text:
            return text

    graph = build()
    for number in range(3):
        options: NodeOptions | None = {"timeout": 0.1} if given_up_by == "timeout" else None
        text = graph.input(f"text{number}", Text)
        if stuck_in == "call":
            graph.output(f"o{number}", graph.add(f"n{number}", stuck, options, text=text))
        else:
            graph.output(f"o{number}", graph.add(f"n{number}", Stuck, options, text=text, number=number))
    token = CancelToken()
    inputs = {f"text{number}": Text("x") for number in range(3)}
    stream = engine.stream(graph.checked(), inputs, registry=graph.registry, partial=True, cancel=token)
    for _ in range(2):
        assert inside.acquire(timeout=20)
    if given_up_by == "cancel":
        token.cancel()
    list(stream)

    @tool
    def quick(text: Text) -> Text:
        return text

    checked, registry = one(build, quick, {"timeout": 10.0})
    for _ in range(3):
        assert engine.run(checked, X, registry=registry).outputs == X
    go.set()
    engine.close()


def test_a_call_with_a_timeout_does_not_wait_for_an_identical_one_without(
    engine: Engine, build: Build, go: threading.Event
) -> None:
    started = threading.Event()

    @tool
    def slow(text: Text) -> Text:
        started.set()
        assert go.wait(20)
        return Text("!")

    untimed, registry = one(build, slow)
    leader = engine.stream(untimed, X, registry=registry)
    assert started.wait(20)
    timed, _ = one(build, slow, {"timeout": 0.1})
    with pytest.raises(NodeTimeout, match=r"node n \(slow\.v1\) waited 0\.1 s for an identical call"):
        engine.run(timed, X, registry=registry)
    go.set()
    assert [event.kind for event in leader] == ["started", "finished"]
    assert engine.run(timed, X, registry=registry).calls[0].status == "cached"


def test_an_identical_call_is_waited_for_while_it_shows_progress(
    engine: Engine, build: Build, go: threading.Event
) -> None:
    started = threading.Event()

    @tool
    def slow(text: Text, ctx: Context) -> Text:
        for step in range(12):
            ctx.progress(step, 12)
            started.set()
            go.wait(0.1)
        return Text("!")

    untimed, registry = one(build, slow)
    leader = engine.stream(untimed, X, registry=registry)
    assert started.wait(20)
    timed, _ = one(build, slow, {"timeout": 0.6})
    assert engine.run(timed, X, registry=registry).calls[0].status == "cached"
    assert leader.result.outputs if list(leader) else None


@pytest.mark.parametrize("api", ["run", "stream", "cancelled"])
def test_a_token_holds_nothing_of_a_run_that_is_over(engine: Engine, build: Build, api: str) -> None:
    @tool
    def quick(text: Text) -> Text:
        return text

    checked, registry = one(build, quick)
    token = CancelToken()
    if api == "run":
        engine.run(checked, X, registry=registry, cancel=token)
    elif api == "stream":
        list(engine.stream(checked, X, registry=registry, cancel=token))
    else:
        token.cancel()
        with pytest.raises(Cancelled):
            engine.run(checked, X, registry=registry, cancel=token)
    assert token._listeners == []
