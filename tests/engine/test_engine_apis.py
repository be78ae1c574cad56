"""The four ways to run, from scripts, loops, tools and threads."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mmagent.engine import CancelToken, Engine, Event
from mmagent.errors import NodeFailed, RunError
from mmagent.graph.builder import GraphBuilder
from mmagent.graph.checked import CheckedGraph
from mmagent.media import Text
from mmagent.registry import Registry
from mmagent.tool import Context, tool

Build = Callable[..., GraphBuilder]
X = {"text": Text("x")}


@tool(cacheable=False)
def mark(text: Text) -> Text:
    """Add a sign."""
    return Text(text.text + "!")


@tool(cacheable=False)
def fail(text: Text) -> Text:
    """Never work."""
    raise ValueError("never")


def chain(build: Build, *steps: Any) -> tuple[CheckedGraph, Registry]:
    graph = build()
    last = graph.input("text", Text)
    for index, step in enumerate(steps):
        last = graph.add(f"n{index}", step, text=last)
    graph.output("text", last)
    return graph.checked(), graph.registry


async def test_run_works_inside_a_running_loop(engine: Engine, build: Build) -> None:
    checked, registry = chain(build, mark, mark)
    assert engine.run(checked, X, registry=registry).outputs == {"text": Text("x!!")}


async def test_arun_leaves_the_loop_free(engine: Engine, build: Build) -> None:
    free = threading.Event()

    @tool(cacheable=False)
    def wait(text: Text) -> Text:
        assert free.wait(20)
        return text

    checked, registry = chain(build, wait)
    asyncio.get_running_loop().call_soon(free.set)
    assert (await engine.arun(checked, X, registry=registry)).outputs == X


async def test_cancelling_the_task_of_arun_cancels_the_run(engine: Engine, build: Build) -> None:
    started, stopped = threading.Event(), threading.Event()

    @tool(cacheable=False)
    def long(text: Text, ctx: Context) -> Text:
        started.set()
        while not ctx.cancelled:
            time.sleep(0.005)
        stopped.set()
        return text

    checked, registry = chain(build, long)
    task = asyncio.create_task(engine.arun(checked, X, registry=registry))
    while not started.is_set():
        await asyncio.sleep(0.005)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(stopped.wait, 20)


def test_stream_gives_the_events_and_then_the_result(engine: Engine, build: Build) -> None:
    checked, registry = chain(build, mark, mark)
    stream = engine.stream(checked, X, registry=registry)
    assert isinstance(next(stream), Event)
    with pytest.raises(RunError, match="still goes on"):
        _ = stream.result
    assert [event.kind for event in stream] == ["finished", "started", "finished"]
    assert stream.result.outputs == {"text": Text("x!!")}
    assert list(stream) == []


async def test_astream_does_the_same(engine: Engine, build: Build) -> None:
    checked, registry = chain(build, mark, mark)
    stream = engine.astream(checked, X, registry=registry)
    assert [event.kind async for event in stream] == ["started", "finished", "started", "finished"]
    assert stream.result.outputs == {"text": Text("x!!")}


def test_the_result_of_a_stream_raises_what_run_would(engine: Engine, build: Build) -> None:
    checked, registry = chain(build, fail)
    stream = engine.stream(checked, X, registry=registry)
    assert [event.kind for event in stream] == ["started", "failed"]
    with pytest.raises(NodeFailed):
        _ = stream.result
    partial = engine.stream(checked, X, partial=True, registry=registry)
    assert [event.kind for event in partial] == ["started", "failed"]
    assert list(partial.result.failures) == ["n0"]


@pytest.mark.parametrize("way", ["break", "close", "with"])
def test_leaving_a_stream_early_cancels_the_run(engine: Engine, build: Build, way: str) -> None:
    stopped = threading.Event()

    @tool(cacheable=False)
    def endless(text: Text, ctx: Context) -> Text:
        while not ctx.cancelled:
            time.sleep(0.002)
            ctx.token("again")
        stopped.set()
        return text

    checked, registry = chain(build, endless)
    if way == "break":
        for event in engine.stream(checked, X, registry=registry):
            if event.kind == "token":
                break
        gc.collect()
    elif way == "close":
        stream = engine.stream(checked, X, registry=registry)
        next(stream)
        stream.close()
        assert list(stream) == []
    else:
        with engine.stream(checked, X, registry=registry) as stream:
            next(stream)
    assert stopped.wait(20)


async def test_leaving_an_astream_early_cancels_the_run(engine: Engine, build: Build) -> None:
    stopped = threading.Event()

    @tool(cacheable=False)
    def endless(text: Text, ctx: Context) -> Text:
        while not ctx.cancelled:
            time.sleep(0.002)
            ctx.token("again")
        stopped.set()
        return text

    checked, registry = chain(build, endless)
    async with engine.astream(checked, X, registry=registry) as stream:
        async for event in stream:
            if event.kind == "token":
                break
    assert await asyncio.to_thread(stopped.wait, 20)


def test_a_stream_that_is_not_taken_holds_nothing_up(engine: Engine, build: Build) -> None:
    checked, registry = chain(build, mark)
    stream = engine.stream(checked, X, registry=registry)
    assert engine.run(checked, X, registry=registry).outputs == {"text": Text("x!")}
    assert len(list(stream)) == 2


def test_runs_within_tools_do_not_use_up_the_threads(build: Build) -> None:
    engine = Engine(threads=2)
    inner, known = chain(build, mark, mark)

    @tool(cacheable=False)
    def within(text: Text) -> Text:
        found = engine.run(inner, {"text": text}, registry=known).outputs["text"]
        assert isinstance(found, Text)
        return found

    graph = build()
    text = graph.input("text", Text)
    for index in range(8):
        graph.output(f"o{index}", graph.add(f"n{index}", within, text=text))
    outputs = engine.run(graph.checked(), X, registry=graph.registry).outputs
    assert list(outputs.values()) == [Text("x!!")] * 8
    engine.close()


def test_more_nodes_than_threads_all_get_their_turn(build: Build) -> None:
    engine = Engine(threads=2)
    graph = build()
    text = graph.input("text", Text)
    for index in range(50):
        graph.output(f"o{index}", graph.add(f"n{index}", mark, text=text))
    assert len(engine.run(graph.checked(), X, registry=graph.registry).outputs) == 50
    engine.close()


def test_run_in_an_async_tool_is_refused_where_it_would_never_end(engine: Engine, build: Build) -> None:
    inner, known = chain(build, mark)

    @tool(cacheable=False)
    async def within(text: Text) -> Text:
        with pytest.raises(RunError, match="await arun"):
            engine.run(inner, {"text": text}, registry=known)
        found = (await engine.arun(inner, {"text": text}, registry=known)).outputs["text"]
        assert isinstance(found, Text)
        return found

    checked, registry = chain(build, within)
    assert engine.run(checked, X, registry=registry).outputs == {"text": Text("x!")}


@pytest.mark.parametrize("api", ["run", "stream"])
def test_ctrl_c_cancels_the_run_and_is_raised(engine: Engine, build: Build, api: str) -> None:
    both, stopped = threading.Barrier(2, timeout=20), threading.Semaphore(0)

    @tool(cacheable=False)
    def long(text: Text, ctx: Context) -> Text:
        try:
            if both.wait() == 0:
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            while not ctx.cancelled:
                time.sleep(0.005)
        finally:
            stopped.release()
        return text

    graph = build()
    text = graph.input("text", Text)
    graph.output("a", graph.add("a", long, text=text))
    graph.output("b", graph.add("b", long, text=text))
    with pytest.raises(KeyboardInterrupt):
        if api == "run":
            engine.run(graph.checked(), X, registry=graph.registry)
        else:
            list(engine.stream(graph.checked(), X, registry=graph.registry))
    assert stopped.acquire(timeout=20)
    assert stopped.acquire(timeout=20)


def test_a_waiting_caller_works_for_its_run_unless_it_must_be_free_to_leave(engine: Engine, build: Build) -> None:
    @tool(cacheable=False)
    def where(text: Text) -> Text:
        return Text(threading.current_thread().name)

    graph = build()
    text = graph.input("text", Text)
    graph.output("free", graph.add("free", where, text=text))
    graph.output("timed", graph.add("timed", where, {"timeout": 60.0}, text=text))
    names = engine.run(graph.checked(), X, registry=graph.registry).outputs
    assert str(names["free"]) == threading.current_thread().name
    assert str(names["timed"]).startswith("mmagent-worker")
    names = engine.run(graph.checked(), X, registry=graph.registry, cancel=CancelToken()).outputs
    assert str(names["free"]).startswith("mmagent-worker")


async def test_tools_may_start_a_loop_of_their_own(engine: Engine, build: Build) -> None:
    @tool(cacheable=False)
    def fetch(text: Text) -> Text:
        return asyncio.run(asyncio.sleep(0, text))

    checked, registry = chain(build, fetch)
    assert engine.run(checked, X, registry=registry).outputs == X
    assert (await engine.arun(checked, X, registry=registry)).outputs == X


def test_ctrl_c_in_an_inline_tool_is_raised(engine: Engine, build: Build) -> None:
    @tool(inline=True)
    def interrupted(text: Text) -> Text:
        raise KeyboardInterrupt

    checked, registry = chain(build, interrupted, mark)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            engine.run(checked, X, registry=registry)


def test_astream_outside_a_loop_says_what_to_use(engine: Engine, build: Build) -> None:
    checked, registry = chain(build, mark)
    with pytest.raises(RunError, match=r"running event loop.*stream\(\)"):
        engine.astream(checked, X, registry=registry)


FORKING = """
    import multiprocessing, sys
    from mmagent.engine import Engine, default_engine
    from mmagent.graph.builder import GraphBuilder
    from mmagent.media import Text
    from mmagent.registry import Registry
    from mmagent.tool import Tool, tool

    @tool(cacheable=False)
    async def looped(text: Text) -> Text:
        return text

    @tool(cost=1)
    def dear(text: Text) -> Text:
        return text

    class Lent(Tool, concurrency="exclusive", cacheable=False):
        def load(self) -> None:
            print("load", flush=True)

        def run(self, text: Text) -> Text:
            if text.text == "fork":
                child = fork.Process(target=use, args=("inner",))
                child.start()
                child.join()
            return text

    graph = GraphBuilder("test", registry=Registry())
    last = graph.input("text", Text)
    for name, step in (("a", looped), ("b", dear), ("c", Lent)):
        last = graph.add(name, step, {"timeout": 60.0}, text=last)
    graph.output("out", last)
    checked = graph.checked()
    fork = multiprocessing.get_context("fork")

    def use(text: str) -> None:
        for engine in (default_engine(), own):
            print(engine.run(checked, {"text": Text(text)}, registry=graph.registry).outputs["out"], flush=True)
            engine.close()

    own = Engine(threads=1)
    own.run(checked, {"text": Text("first")}, registry=graph.registry)
    default_engine().run(checked, {"text": Text("fork")}, registry=graph.registry)
    child = fork.Process(target=use, args=("child",))
    child.start()
    child.join()
    sys.exit(child.exitcode)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system does not fork")
def test_a_child_process_may_use_the_engines_of_its_parent(tmp_path: Path) -> None:
    (script := tmp_path / "script.py").write_text(textwrap.dedent(FORKING))
    environment = {**os.environ, "MMAGENT_CACHE": str(tmp_path)}
    command = [sys.executable, "-W", "ignore", str(script)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=50, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["load"] * 2 + ["load", "inner"] * 2 + ["load", "child"] * 2


def test_an_engine_is_closed_at_the_end_of_its_with(build: Build) -> None:
    checked, registry = chain(build, mark)
    with Engine() as engine:
        assert engine.run(checked, X, registry=registry).outputs == {"text": Text("x!")}
        engine.loop.soon(lambda: None)
    assert engine.loop._thread is None
