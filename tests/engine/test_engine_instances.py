"""Loaded tools: made once, shared, lent as their cards allow."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from mmagent.engine import CancelToken, Engine, Event, Store
from mmagent.errors import Cancelled, NodeFailed, NodeTimeout, RunError
from mmagent.graph.builder import GraphBuilder
from mmagent.media import Text
from mmagent.tool import Tool, tool

Build = Callable[..., GraphBuilder]


@pytest.fixture
def log() -> Iterator[list[str]]:
    entries: list[str] = []
    yield entries
    entries.clear()


def stamp(log: list[str], **options: Any) -> type[Tool]:
    class Stamp(Tool, name="stamp.v1", cacheable=False, **options):
        def __init__(self, ink: str = "blue") -> None:
            self.ink = ink
            self.inside = 0

        def load(self) -> None:
            assert threading.current_thread().name != "mmagent-loop"
            time.sleep(0.02)
            log.append(f"load {self.ink}")

        def run(self, text: Text, count: int = 1) -> Text:
            self.inside += 1
            most = self.inside
            time.sleep(0.002)
            self.inside -= 1
            return Text(f"{text.text}{self.ink * count}{most}")

        def unload(self) -> None:
            log.append(f"unload {self.ink}")

    return Stamp


def fan(build: Build, step: Any, count: int, **settings: Any) -> GraphBuilder:
    graph = build()
    text = graph.input("text", Text)
    for index in range(count):
        graph.output(f"o{index}", graph.add(f"n{index}", step, text=text, **settings))
    return graph


def test_an_instance_is_loaded_once_for_each_set_of_load_settings(build: Build, log: list[str]) -> None:
    engine = Engine()
    step = stamp(log, concurrency="exclusive")
    graph = build()
    text = graph.input("text", Text)
    for index, (ink, count) in enumerate([("red", 1), ("red", 2), ("blue", 1), ("blue", 3)]):
        graph.output(f"o{index}", graph.add(f"n{index}", step, text=text, ink=ink, count=count))
    checked = graph.checked()
    for _ in range(2):
        outputs = engine.run(checked, {"text": Text("")}, registry=graph.registry).outputs
        assert list(outputs.values()) == [Text("red1"), Text("redred1"), Text("blue1"), Text("blueblueblue1")]
    assert sorted(log) == ["load blue", "load red"]
    engine.close()
    assert sorted(log) == ["load blue", "load red", "unload blue", "unload red"]


def test_an_exclusive_instance_serves_one_call_at_a_time_over_all_runs(
    engine: Engine, build: Build, log: list[str]
) -> None:
    graph = fan(build, stamp(log, concurrency="exclusive"), 8)
    checked = graph.checked()
    with ThreadPoolExecutor(4) as threads:
        runs = threads.map(lambda _: engine.run(checked, {"text": Text("")}, registry=graph.registry), range(4))
        assert {output for run in runs for output in map(str, run.outputs.values())} == {"blue1"}
    assert log == ["load blue"]


def test_a_failing_load_fails_the_node_and_is_tried_again_next_time(engine: Engine, build: Build) -> None:
    broken = [True]

    class Heavy(Tool, name="heavy.v1", cacheable=False):
        def load(self) -> None:
            if broken[0]:
                raise OSError("no weights")

        def run(self, text: Text) -> Text:
            return text

    graph = fan(build, Heavy, 3)
    checked = graph.checked()
    result = engine.run(checked, {"text": Text("x")}, partial=True, registry=graph.registry)
    assert len(result.failures) == 3
    with pytest.raises(NodeFailed, match=r"heavy\.v1\) failed: RunError: load\(\) failed: OSError: no weights"):
        result.raise_failure()
    broken[0] = False
    assert len(engine.run(checked, {"text": Text("x")}, registry=graph.registry).outputs) == 3


def test_a_call_that_ignores_its_timeout_keeps_the_instance_until_it_returns(engine: Engine, build: Build) -> None:
    go, entered, inside, most = threading.Event(), threading.Event(), [0], [0]

    class Slow(Tool, name="slow.v1", cacheable=False, concurrency="exclusive"):
        def run(self, text: Text) -> Text:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            entered.set()
            if text.text == "stuck":
                go.wait(20)
            inside[0] -= 1
            return text

    graph = build()
    graph.output("text", graph.add("n", Slow, {"timeout": 0.4}, text=graph.input("text", Text)))
    checked = graph.checked()
    with pytest.raises(NodeTimeout):
        engine.run(checked, {"text": Text("stuck")}, registry=graph.registry)
    threading.Timer(0.05, go.set).start()
    assert engine.run(checked, {"text": Text("next")}, registry=graph.registry).outputs == {"text": Text("next")}
    assert most == [1]


def test_an_inline_class_is_loaded_off_the_callers_thread(engine: Engine, build: Build, log: list[str]) -> None:
    graph = fan(build, stamp(log, inline=True, concurrency="exclusive"), 2)
    outputs = engine.run(graph.checked(), {"text": Text("")}, registry=graph.registry).outputs
    assert set(map(str, outputs.values())) == {"blue1"}
    assert log == ["load blue"]


def test_the_timeout_also_ends_the_wait_for_a_call_that_was_given_up(engine: Engine, build: Build) -> None:
    go = threading.Event()

    class Deaf(Tool, name="deaf.v1", cacheable=False, concurrency="exclusive"):
        def run(self, text: Text) -> Text:
            assert go.wait(20)
            return text

    graph = build()
    graph.output("text", graph.add("n", Deaf, {"timeout": 0.05, "retries": 2}, text=graph.input("text", Text)))
    checked = graph.checked()
    result = engine.run(checked, {"text": Text("x")}, partial=True, registry=graph.registry)
    assert isinstance(result.failures["n"], NodeTimeout)
    assert "waited 0.05 s for a load, or for a call that was given up" in str(result.failures["n"])
    assert [event.kind for event in result.events] == ["started", "retried", "retried", "failed"]
    go.set()


def test_a_failed_load_is_repeated_as_often_as_the_node_says(engine: Engine, build: Build) -> None:
    loads = []

    class Late(Tool, name="late.v1", cacheable=False):
        def load(self) -> None:
            loads.append(1)
            if len(loads) < 3:
                raise OSError("not yet")

        def run(self, text: Text) -> Text:
            return text

    graph = build()
    graph.output("text", graph.add("n", Late, {"retries": 2}, text=graph.input("text", Text)))
    assert engine.run(graph.checked(), {"text": Text("x")}, registry=graph.registry).outputs == {"text": Text("x")}


@pytest.mark.parametrize("concurrency", ["exclusive", "reentrant"])
def test_closing_waits_with_unloading_until_the_calls_have_returned(build: Build, concurrency: Any) -> None:
    engine = Engine()
    entered, go, unloaded = threading.Event(), threading.Event(), threading.Event()

    class Busy(Tool, name="busy.v1", cacheable=False, concurrency=concurrency):
        def run(self, text: Text) -> Text:
            entered.set()
            assert go.wait(20)
            assert not unloaded.is_set()
            return text

        def unload(self) -> None:
            unloaded.set()

    graph = build()
    graph.output("text", graph.add("n", Busy, text=graph.input("text", Text)))
    stream = engine.stream(graph.checked(), {"text": Text("x")}, registry=graph.registry)
    assert entered.wait(20)
    engine.close()
    assert not unloaded.is_set()
    go.set()
    assert [event.kind for event in stream] == ["started", "finished"]
    assert unloaded.wait(20)


def test_an_engine_can_be_used_again_after_it_was_closed(build: Build, log: list[str]) -> None:
    engine = Engine(threads=2)
    graph = fan(build, stamp(log, concurrency="exclusive"), 5)
    checked = graph.checked()
    for _ in range(2):
        assert len(engine.run(checked, {"text": Text("")}, registry=graph.registry).outputs) == 5
        engine.close()
    assert log == ["load blue", "unload blue"] * 2


def test_a_run_that_is_cancelled_before_it_loads_leaves_the_loading_to_others(build: Build, log: list[str]) -> None:
    engine = Engine(threads=1)
    go, busy = threading.Event(), threading.Event()

    class Block(Tool, name="block.v1", cacheable=False):
        def run(self, text: Text) -> Text:
            busy.set()
            assert go.wait(20)
            return text

    blocked = fan(build, Block, 1)
    stream = engine.stream(blocked.checked(), {"text": Text("")}, registry=blocked.registry)
    assert busy.wait(20)
    graph, token = fan(build, stamp(log, concurrency="exclusive"), 2), CancelToken()
    started: list[str] = []

    def listen(event: Event) -> None:
        started.append(event.node)
        if len(started) == 2:  # the first waits for a worker to load the tool in, the second for the first
            token.cancel()

    with pytest.raises(Cancelled):
        engine.run(graph.checked(), {"text": Text("")}, registry=graph.registry, cancel=token, on_event=listen)
    assert log == []
    go.set()
    assert len(engine.run(graph.checked(), {"text": Text("")}, registry=graph.registry).outputs) == 2
    assert [event.kind for event in stream] == ["started", "finished"]
    engine.close()


def test_ctrl_c_gives_back_a_lease_that_was_not_used_yet(engine: Engine, build: Build, log: list[str]) -> None:
    pressed = [True]

    @tool(inline=True)
    def press(text: Text) -> Text:
        if pressed.pop():
            raise KeyboardInterrupt
        return text

    graph = fan(build, stamp(log, concurrency="exclusive"), 1)
    graph.output("last", graph.add("press", press, text="text"))
    checked = graph.checked()
    for loaded in (False, True):
        pressed[:] = [False, True]
        with pytest.raises(KeyboardInterrupt):
            engine.run(checked, {"text": Text("")}, registry=graph.registry)
        assert len(engine.run(checked, {"text": Text("")}, registry=graph.registry).outputs) == 2, loaded


def test_closing_unloads_all_tools_and_then_tells_which_failed(build: Build, log: list[str], tmp_path: Path) -> None:
    class Bad(Tool, name="bad.v1", cost=1):
        def __init__(self, number: int) -> None:
            self.number = number

        def run(self, text: Text) -> Text:
            return Text(f"{text.text}{self.number}")

        def unload(self) -> None:
            raise OSError(f"no {self.number}")

    graph = build()
    text = graph.input("text", Text)
    for number in (1, 2):
        graph.output(f"o{number}", graph.add(f"n{number}", Bad, text=text, number=number))
    graph.output("stamped", graph.add("s", stamp(log), text=text))
    engine = Engine(store=Store(tmp_path))
    engine.run(graph.checked(), {"text": Text("a")}, registry=graph.registry)
    with pytest.raises(RunError) as caught:
        engine.close()
    told = str(caught.value)
    assert sorted(told.split("; ")) == [f"bad.v1: unload() failed: OSError: no {number}" for number in (1, 2)]
    assert isinstance(caught.value.__cause__, RunError)
    assert isinstance(caught.value.__cause__.__cause__, OSError)
    assert log == ["load blue", "unload blue"]
    assert len(list(tmp_path.rglob("*.json"))) == 2
    engine.close()
