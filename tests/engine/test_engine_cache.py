"""What is computed once and given again: in a run, in an engine, on disk, in another process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from mmagent.card import Card
from mmagent.engine import Cache, CancelToken, Engine, Result, Store
from mmagent.engine.keys import derive_seed, prefix, recipe
from mmagent.errors import Cancelled
from mmagent.graph.builder import GraphBuilder
from mmagent.media import Embedding, Image, Media, Text
from mmagent.tool import Context, FunctionTool, tool

Build = Callable[..., GraphBuilder]


class Calls(list[str]):
    """Notes that are no part of what a tool is: a list's values would be, but this is neither list nor plain object."""


def counted(calls: Calls, **options: Any) -> FunctionTool[..., Any]:
    @tool(name="counted", **options)
    def shout(text: Text, times: int = 1) -> Text:
        calls.append(text.text)
        return Text(text.text.upper() * times)

    return shout


def noted(notes: Path, **options: Any) -> FunctionTool[..., Any]:
    """The same with a digest that every process comes to, so that its results may be stored."""

    @tool(name="counted", **options)
    def shout(text: Text) -> Text:
        with notes.open("a") as file:
            file.write(text.text)
        return Text(text.text.upper())

    return shout


def run(engine: Engine, build: Build, step: Any, text: str = "a", **settings: Any) -> Result:
    graph = build()
    graph.output("out", graph.add("n", step, text=graph.input("text", Text), **settings))
    return engine.run(graph.checked(), {"text": Text(text)}, registry=graph.registry)


def test_the_same_call_is_made_once_and_told_as_cached(engine: Engine, build: Build) -> None:
    calls = Calls()
    step = counted(calls)
    first, second = run(engine, build, step), run(engine, build, step)
    assert first.outputs == second.outputs == {"out": Text("A")}
    assert [result.calls[0].status for result in (first, second)] == ["finished", "cached"]
    assert first.calls[0].key == second.calls[0].key
    assert [event.kind for event in second.events] == ["started", "cached"]
    run(engine, build, step, times=2)
    run(engine, build, step, "b")
    assert calls == ["a", "a", "b"]


@pytest.mark.parametrize("options", [{"inline": True}, {"cacheable": False}])
def test_inline_and_uncacheable_tools_are_called_every_time(
    engine: Engine, build: Build, options: dict[str, bool]
) -> None:
    calls = Calls()
    step = counted(calls, **options)
    run(engine, build, step)
    run(engine, build, step)
    assert calls == ["a", "a"]


def test_the_seed_is_part_of_the_recipe_only_of_tools_that_are_given_one(engine: Engine, build: Build) -> None:
    @tool
    def roll(text: Text, ctx: Context) -> Text:
        return Text(f"{text.text}{ctx.seed}")

    def key(step: Any, seed: int) -> str:
        graph = build()
        graph.output("out", graph.add("n", step, text=graph.input("text", Text)))
        return engine.run(graph.checked(), {"text": Text("a")}, seed=seed, registry=graph.registry).calls[0].key

    assert key(roll, 1) == key(roll, 1) != key(roll, 2)
    step = counted(Calls())
    assert key(step, 1) == key(step, 2)


def test_identical_calls_under_way_are_made_once(engine: Engine, build: Build) -> None:
    started, go, calls = threading.Barrier(2, timeout=20), threading.Event(), Calls()

    @tool
    def slow(text: Text) -> Text:
        calls.append(text.text)
        started.wait()
        assert go.wait(20)
        return Text(text.text + "!")

    results: list[Result] = []
    threads = [threading.Thread(target=lambda: results.append(run(engine, build, slow))) for _ in range(6)]
    for thread in threads:
        thread.start()
    started.wait()
    go.set()
    for thread in threads:
        thread.join()
    assert calls == ["a"]
    assert [result.outputs for result in results] == [{"out": Text("a!")}] * 6
    assert sorted(result.calls[0].status for result in results) == ["cached"] * 5 + ["finished"]


def test_when_the_first_of_identical_calls_is_cancelled_the_next_is_made(engine: Engine, build: Build) -> None:
    started, calls = threading.Semaphore(0), Calls()

    @tool
    def slow(text: Text, ctx: Context) -> Text:
        calls.append(text.text)
        started.release()
        while len(calls) == 1:
            ctx.check()
        return Text(text.text + "!")

    graph = build()
    graph.output("out", graph.add("n", slow, text=graph.input("text", Text)))
    checked, token = graph.checked(), CancelToken()

    def first() -> None:
        with pytest.raises(Cancelled):
            engine.run(checked, {"text": Text("a")}, cancel=token, registry=graph.registry)

    leader = threading.Thread(target=first)
    leader.start()
    assert started.acquire(timeout=20)
    follower = engine.stream(checked, {"text": Text("a")}, registry=graph.registry)
    assert next(follower).kind == "started"
    token.cancel()
    leader.join()
    assert [event.kind for event in follower] == ["finished"]
    assert calls == ["a", "a"]


def test_a_cache_keeps_what_was_used_last_within_its_budget() -> None:
    def picture(shade: int) -> tuple[Image]:
        return (Image(np.full((100, 100, 3), shade, "uint8")),)

    cache = Cache(budget=100_000)
    for shade in range(3):
        cache.put(str(shade), picture(shade))
    assert cache.get("0") is not None
    cache.put("3", picture(3))
    assert [cache.get(str(shade)) is not None for shade in range(4)] == [True, False, True, True]
    assert cache.nbytes <= cache.budget
    cache.put("big", (Image(np.zeros((300, 300, 3), "uint8")),))
    assert cache.get("big") is None
    cache.put("3", picture(4))
    assert len(cache) == 3
    cache.clear()
    assert (len(cache), cache.nbytes) == (0, 0)


class Rough(Media, modality="rough", suffix=".rough"):
    """A medium whose file loses something."""

    def encode(self, suffix: str | None = None) -> bytes:
        return b""

    @classmethod
    def decode(cls, data: bytes, name: str = "", limits: object = None) -> Rough:
        return cls({}, {"level": 0})


class Both(NamedTuple):
    """Two outputs, one of them a list."""

    states: Embedding
    texts: list[Text]


def test_an_embedding_carries_the_recipe_key_as_its_digest_without_a_copy(engine: Engine, build: Build) -> None:
    @tool(cost=1)
    def encode(text: Text) -> Embedding:
        return Embedding(np.ones((2, 3)), "test.space")

    @tool(inline=True)
    def pass_on(states: Embedding) -> Embedding:
        return states

    graph = build()
    first = graph.add("n", encode, text=graph.input("text", Text))
    graph.output("out", first)
    graph.output("same", graph.add("m", pass_on, states=first))
    result = engine.run(graph.checked(), {"text": Text("a")}, registry=graph.registry)
    states = result.outputs["out"]
    assert isinstance(states, Embedding)
    assert states.digest == result.calls[0].key
    assert result.outputs["same"] is states


def test_several_outputs_lists_and_embeddings_come_back_from_disk(build: Build, tmp_path: Path) -> None:
    @tool(cost=1)
    def both(text: Text) -> Both:
        return Both(Embedding(np.full((2, 3), 0.5), "test.space"), [text, Text("é")])

    def outputs() -> dict[str, Any]:
        graph = build()
        node = graph.add("n", both, text=graph.input("text", Text))
        graph.output("states", node.states)
        graph.output("texts", node.texts)
        engine = Engine(store=Store(tmp_path))
        result = engine.run(graph.checked(), {"text": Text("a")}, registry=graph.registry)
        engine.close()
        return {**result.outputs, "status": result.calls[0].status}

    first, second = outputs(), outputs()
    assert (first.pop("status"), second.pop("status")) == ("finished", "cached")
    assert first == second
    assert first["states"].digest == second["states"].digest
    assert (second["states"].array == 0.5).all()


def stored(build: Build, root: Path, text: str = "a", **options: Any) -> Result:
    engine = Engine(store=Store(root))
    result = run(engine, build, noted(root / "calls", **{"cost": 0.05, **options}), text)
    engine.close()
    return result


def test_only_dear_results_are_stored(build: Build, tmp_path: Path) -> None:
    stored(build, tmp_path, cost=0.04)
    assert list(tmp_path.rglob("*.*")) == []
    stored(build, tmp_path)
    assert sorted(path.suffix for path in tmp_path.rglob("*.*")) == [".json", ".txt"]


@pytest.mark.parametrize("suffix", [".txt", ".json"])
@pytest.mark.parametrize("content", [b"A!", b"", b"\xff\xfe", None])
def test_a_damaged_or_missing_file_is_dropped_and_computed_anew(
    build: Build, tmp_path: Path, suffix: str, content: bytes | None
) -> None:
    stored(build, tmp_path)
    (path,) = tmp_path.rglob(f"*{suffix}")
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    for expected in ("finished", "cached"):
        result = stored(build, tmp_path)
        assert (result.calls[0].status, result.outputs["out"]) == (expected, Text("A"))
    assert (tmp_path / "calls").read_text() == "aa"


def test_a_recipe_that_names_another_medium_is_not_believed(build: Build, tmp_path: Path) -> None:
    stored(build, tmp_path)
    (path,) = tmp_path.rglob("*.json")
    entry = json.loads(path.read_text())
    entry["outputs"][0]["digest"] = "00" * 32
    path.write_text(json.dumps(entry))
    assert stored(build, tmp_path).calls[0].status == "finished"


def test_a_medium_that_its_file_does_not_keep_exactly_is_not_stored(build: Build, tmp_path: Path) -> None:
    @tool(cost=1)
    def make(text: Text) -> Rough:
        return Rough({}, {"level": 1})

    engine = Engine(store=Store(tmp_path))
    run(engine, build, make)
    engine.close()
    assert list(tmp_path.rglob("*.*")) == []


def test_the_store_keeps_what_was_used_last_within_its_budget(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    store = Store(tmp_path, budget=200_000)
    keys = [f"{index:064d}" for index in range(12)]
    for index, key in enumerate(keys):
        store.put(key, (Image(rng.integers(0, 255, (100, 100, 3), "uint8")),))
        store.flush()
        if store.get(keys[0]) is not None:
            for path in tmp_path.rglob("*.*"):
                os.utime(path, (index, index) if keys[0] not in path.name else None)
            assert store.get(keys[0]) is not None
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.*")) <= store.budget
    assert store.get(keys[-1]) is not None
    assert 2 <= sum(store.get(key) is not None for key in keys) < len(keys)


def test_a_result_larger_than_the_store_is_not_kept(tmp_path: Path) -> None:
    store = Store(tmp_path, budget=1000)
    store.put("00" * 32, (Text("x" * 2000),))
    store.flush()
    assert store.get("00" * 32) is None


SCRIPT = """
    import sys
    from mmagent.engine import Engine, Store
    from mmagent.graph.builder import GraphBuilder
    from mmagent.media import Text
    from mmagent.registry import Registry
    from mmagent.tool import tool

    @tool(cost=1)
    def shout(text: Text, times: int = 2) -> Text:
        print("computed")
        return Text(text.text.upper() * times)

    engine = Engine(store=Store(sys.argv[1]))
    graph = GraphBuilder("test", registry=Registry())
    graph.output("out", graph.add("n", shout, text=graph.input("text", Text)))
    result = engine.run(graph.checked(), {"text": Text("a")}, registry=graph.registry)
    engine.close()
    print(result.calls[0].key, result.outputs["out"])
"""


def test_results_and_keys_are_the_same_in_another_process(tmp_path: Path) -> None:
    (script := tmp_path / "script.py").write_text(textwrap.dedent(SCRIPT))

    def launch(hash_seed: str) -> list[str]:
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        arguments = [sys.executable, str(script), str(tmp_path / "store")]
        return subprocess.run(arguments, env=environment, check=True, capture_output=True, text=True).stdout.split()

    first, second = launch("1"), launch("2")
    assert first[0] == "computed"
    assert second == first[1:]


def test_processes_that_write_at_the_same_time_do_not_harm_each_other(tmp_path: Path) -> None:
    (script := tmp_path / "script.py").write_text(textwrap.dedent(SCRIPT))
    arguments = [sys.executable, str(script), str(tmp_path / "store")]
    going = [subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    answers = {process.communicate(timeout=60)[0].split()[-1] for process in going}
    assert answers == {"AA"}
    assert [process.returncode for process in going] == [0, 0, 0]


def test_recipe_keys_do_not_change_between_releases_unnoticed() -> None:
    card = Card("blur.v2", "converter", (), (), weights="abc")
    start = prefix(card, {"radius": 2.0, "mode": "fast"})
    assert start == '["blur.v2","abc",[["mode","fast"],["radius",2.0]]]'
    digest = Text("a").digest
    known = recipe(start, 7, [("texts", [Text("a"), Text("a")]), ("left-out", None), ("x", Text("a"))])
    from blake3 import blake3

    assert known == blake3(f"{start}\0seed=7\0texts=[{digest},{digest}]\0x={digest}".encode()).hexdigest()
    assert derive_seed(0, "draw") == 1334593371
