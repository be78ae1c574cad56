"""What a run does with a graph: order, branches, values, failures."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from mmagent.card import Port
from mmagent.engine import Engine, Event
from mmagent.errors import GraphError, MediaError, NodeFailed
from mmagent.graph.builder import GraphBuilder
from mmagent.media import Audio, Embedding, Image, Media, Speech, Text
from mmagent.tool import Context, tool

Build = Callable[..., GraphBuilder]


@tool(inline=True)
def mark(text: Text, sign: str = ".") -> Text:
    """Add a sign."""
    return Text(text.text + sign)


@tool
def add(text: Text, sign: str = ".") -> Text:
    """Add a sign, in a thread."""
    return Text(text.text + sign)


@tool
async def put(text: Text, sign: str = ".") -> Text:
    """Add a sign, on the loop."""
    return Text(text.text + sign)


@tool(inline=True)
def join(texts: list[Text]) -> Text:
    """All of them in order."""
    return Text("".join(text.text for text in texts))


@tool(cacheable=False)
def fail(text: Text) -> Text:
    """Never work."""
    raise ValueError(f"no {text.text}")


class Halves(NamedTuple):
    """Two parts of a text, the second if there is one."""

    first: Text
    second: Text | None


@tool(inline=True)
def halve(text: Text) -> Halves:
    """Cut at the first slash."""
    first, _, second = text.text.partition("/")
    return Halves(Text(first), Text(second) if second else None)


def test_a_chain_of_inline_threaded_and_async_tools_runs_in_order(engine: Engine, build: Build) -> None:
    graph = build()
    last = graph.input("text", Text)
    steps: list[Any] = [mark, add, put, put, add, mark]
    for index, step in enumerate(steps):
        last = graph.add(f"n{index}", step, text=last, sign=str(index))
    graph.output("text", last)
    result = engine.run(graph.checked(), {"text": Text(">")}, registry=graph.registry)
    assert result.outputs == {"text": Text(">012345")}
    assert [call.node for call in result.calls] == [f"n{index}" for index in range(6)]
    kinds = [(event.kind, event.node) for event in result.events]
    assert kinds == [(kind, f"n{index}") for index in range(6) for kind in ("started", "finished")]
    assert [event.span for event in result.events] == [span for span in range(1, 7) for _ in range(2)]


def test_branches_run_side_by_side(engine: Engine, build: Build) -> None:
    meet = threading.Barrier(8, timeout=20)

    @tool(cacheable=False)
    def wait(text: Text) -> Text:
        meet.wait()
        return text

    graph = build()
    text = graph.input("text", Text)
    graph.output("text", graph.add("join", join, texts=[graph.add(f"w{index}", wait, text=text) for index in range(8)]))
    assert engine.run(graph.checked(), {"text": Text("a")}, registry=graph.registry).outputs["text"] == Text("a" * 8)


def test_several_sources_of_a_list_port_keep_their_order(engine: Engine, build: Build) -> None:
    graph = build()
    texts = graph.input("texts", "list[text]")
    one = graph.input("one", Text)
    graph.output("text", graph.add("join", join, texts=[graph.add("late", add, text=one), texts, one]))
    inputs: dict[str, Any] = {"one": Text("1"), "texts": [Text("2"), Text("3")]}
    assert engine.run(graph.checked(), inputs, registry=graph.registry).outputs["text"] == Text("1.231")


def test_a_list_given_to_one_tool_is_not_shared_with_another(engine: Engine, build: Build) -> None:
    @tool(inline=True)
    def spoil(texts: list[Text]) -> Text:
        texts.clear()
        return Text("")

    graph = build()
    texts = graph.input("texts", "list[text]")
    spoilt = graph.add("spoil", spoil, texts=texts)
    graph.output("text", graph.add("join", join, texts=[texts, spoilt]))
    assert engine.run(graph.checked(), {"texts": [Text("a")]}, registry=graph.registry).outputs["text"] == Text("a")


@pytest.mark.parametrize("step", [mark, add, put])
def test_what_needs_something_absent_is_skipped_and_its_output_is_none(engine: Engine, build: Build, step: Any) -> None:
    graph = build()
    halves = graph.add("halve", halve, text=graph.input("text", Text))
    graph.output("first", graph.add("one", step, text=halves.first))
    graph.output("second", graph.add("two", step, text=halves.second))
    checked = graph.checked()
    result = engine.run(checked, {"text": Text("a")}, registry=graph.registry)
    assert result.outputs == {"first": Text("a."), "second": None}
    assert {call.node: call.status for call in result.calls}["two"] == "skipped"
    assert [event.node for event in result.events if event.kind == "skipped"] == ["two"]
    both = engine.run(checked, {"text": Text("a/b")}, registry=graph.registry)
    assert both.outputs == {"first": Text("a."), "second": Text("b.")}


def test_a_list_leaves_out_what_is_absent(engine: Engine, build: Build) -> None:
    graph = build()
    halves = graph.add("halve", halve, text=graph.input("text", Text))
    graph.output("text", graph.add("join", join, texts=[halves.second, halves.first]))
    assert engine.run(graph.checked(), {"text": Text("a")}, registry=graph.registry).outputs == {"text": Text("a")}


def test_an_optional_input_may_be_left_out(engine: Engine, build: Build) -> None:
    @tool(inline=True)
    def greet(name: Text | None = None) -> Text:
        return Text(f"hello {name.text if name else 'you'}")

    graph = build()
    graph.output("text", graph.add("greet", greet, name=graph.input("name", "text | None")))
    checked = graph.checked()
    assert engine.run(checked, registry=graph.registry).outputs == {"text": Text("hello you")}
    assert engine.run(checked, {"name": None}, registry=graph.registry).outputs == {"text": Text("hello you")}
    assert engine.run(checked, {"name": Text("Ann")}, registry=graph.registry).outputs == {"text": Text("hello Ann")}


def test_a_failed_branch_does_not_take_its_siblings_with_it(engine: Engine, build: Build) -> None:
    done = threading.Event()

    @tool(cacheable=False)
    def late(text: Text) -> Text:
        time.sleep(0.05)
        done.set()
        return text

    graph = build()
    text = graph.input("text", Text)
    graph.output("good", graph.add("late", late, text=text))
    graph.output("bad", graph.add("after", mark, text=graph.add("broken", fail, text=text)))
    checked = graph.checked()
    with pytest.raises(NodeFailed, match=r"node broken \(fail\.v1\) failed: ValueError: no x") as caught:
        engine.run(checked, {"text": Text("x")}, registry=graph.registry)
    assert done.is_set()
    assert isinstance(caught.value.__cause__, ValueError)
    result = engine.run(checked, {"text": Text("x")}, partial=True, registry=graph.registry)
    assert result.outputs == {"good": Text("x")}
    assert list(result.failures) == ["broken"]
    assert {call.node: call.status for call in result.calls} == {
        "late": "finished", "broken": "failed", "after": "skipped"
    }  # fmt: skip


@pytest.mark.parametrize("inline", [True, False])
def test_a_failing_inline_tool_fails_its_node_alone(engine: Engine, build: Build, inline: bool) -> None:
    @tool(inline=inline)
    def broken(text: Text) -> Text:
        raise SystemExit(1)

    graph = build()
    text = graph.input("text", Text)
    graph.output("bad", graph.add("broken", broken, text=text))
    graph.output("good", graph.add("good", mark, text=text))
    checked = graph.checked()
    for _ in range(2):
        result = engine.run(checked, {"text": Text("x")}, partial=True, registry=graph.registry)
        assert result.outputs == {"good": Text("x.")}
        assert "SystemExit" in str(result.failures["broken"])


def test_only_what_the_wanted_outputs_need_is_run(engine: Engine, build: Build) -> None:
    graph = build()
    text, other = graph.input("text", Text), graph.input("other", Text)
    graph.output("good", graph.add("mark", mark, text=text))
    graph.output("bad", graph.add("broken", fail, text=other))
    result = engine.run(graph.checked(), {"text": Text("x")}, wanted=["good"], registry=graph.registry)
    assert result.outputs == {"good": Text("x.")}
    assert [call.node for call in result.calls] == ["mark"]
    with pytest.raises(GraphError, match="one of good, bad"):
        engine.run(graph.checked(), {"text": Text("x")}, wanted=["ugly"], registry=graph.registry)


def test_inputs_that_do_not_fit_are_all_named_and_nothing_runs(engine: Engine, build: Build) -> None:
    graph = build()
    graph.output("text", graph.add("mark", mark, text=graph.input("text", Text)))
    graph.input("sounds", "list[audio(rate=8000)] | None")
    checked = graph.checked()
    events: list[Event] = []
    with pytest.raises(GraphError) as caught:
        engine.run(
            checked,
            {"sounds": [Audio(np.zeros(8, "float32"), 16000)], "texts": Text("x")},
            on_event=events.append,
            registry=graph.registry,
        )
    assert [fault.port for fault in caught.value.faults] == ["sounds", "texts", "text"]
    assert "audio with rate=16000 at position 0" in str(caught.value)
    assert events == []
    with pytest.raises(GraphError, match="got str, which is not media"):
        engine.run(checked, {"text": "x"}, registry=graph.registry)  # type: ignore[dict-item]  # what is tested


@pytest.mark.parametrize("inline", [True, False])
def test_an_output_that_is_not_what_its_card_says_fails_the_node(engine: Engine, build: Build, inline: bool) -> None:
    @tool(inline=inline)
    def lie(text: Text) -> Speech:
        return Audio(np.zeros(8, "float32"), 16000)  # type: ignore[return-value]  # what is tested

    graph = build()
    graph.output("speech", graph.add("lie", lie, text=graph.input("text", Text)))
    with pytest.raises(NodeFailed, match=r"node lie .*port speech: expected speech, got audio") as caught:
        engine.run(graph.checked(), {"text": Text("x")}, registry=graph.registry)
    assert isinstance(caught.value.__cause__, MediaError)


def test_a_refined_modality_passes_where_its_parent_is_wanted(engine: Engine, build: Build) -> None:
    @tool(inline=True)
    def length(audio: Audio) -> Text:
        return Text(type(audio).__name__)

    graph = build()
    graph.output("text", graph.add("length", length, audio=graph.input("sound", Audio)))
    speech = Speech(np.zeros(8, "float32"), 16000)
    assert engine.run(graph.checked(), {"sound": speech}, registry=graph.registry).outputs == {"text": Text("Speech")}


def test_fifty_mebibytes_pass_through_ten_nodes_as_the_same_object(engine: Engine, build: Build) -> None:
    @tool
    def same(media: Media) -> Media:
        return media

    graph = build()
    last = graph.input("media", Port("media", "embedding"))
    for index in range(10):
        last = graph.add(f"n{index}", same, media=last)
    graph.output("media", last)
    big = Embedding(np.zeros((128, 102400), "float32"), "test.space")
    assert engine.run(graph.checked(), {"media": big}, registry=graph.registry).outputs["media"] is big


def test_a_large_picture_is_passed_by_reference_between_inline_nodes(engine: Engine, build: Build) -> None:
    @tool(inline=True)
    def same(image: Image) -> Image:
        return image

    graph = build()
    graph.output("image", graph.add("b", same, image=graph.add("a", same, image=graph.input("image", Image))))
    big = Image(np.zeros((1000, 1000, 3), "uint8"))
    assert engine.run(graph.checked(), {"image": big}, registry=graph.registry).outputs["image"] is big


def test_seeds_follow_from_the_run_and_the_node_and_are_recorded(engine: Engine, build: Build) -> None:
    @tool(cacheable=False)
    def roll(text: Text, ctx: Context) -> Text:
        return Text(str(ctx.seed))

    graph = build()
    text = graph.input("text", Text)
    graph.output("a", graph.add("a", roll, text=text))
    graph.output("b", graph.add("b", roll, text=text))
    graph.output("c", graph.add("c", roll, {"seed": 7}, text=text))
    checked = graph.checked()

    def outputs(seed: int) -> dict[str, str]:
        result = engine.run(checked, {"text": Text("x")}, seed=seed, registry=graph.registry)
        assert {call.node: str(call.seed) for call in result.calls} == {k: str(v) for k, v in result.outputs.items()}
        return {name: str(value) for name, value in result.outputs.items()}

    first = outputs(1)
    assert first == outputs(1)
    assert first["a"] != first["b"]
    assert first["c"] == "7"
    assert outputs(2)["a"] != first["a"]
    assert outputs(2)["c"] == "7"


def test_a_graph_that_passes_its_input_through_has_nothing_to_do(engine: Engine, build: Build) -> None:
    graph = build()
    graph.output("text", graph.input("text", Text))
    result = engine.run(graph.checked(), {"text": Text("x")}, registry=graph.registry)
    assert (result.outputs, result.calls) == ({"text": Text("x")}, ())


def test_nested_graphs_have_spans_of_their_own(engine: Engine, build: Build) -> None:
    inner = build("inner")
    inner.output("text", inner.add("two", add, text=inner.add("one", mark, text=inner.input("text", Text))))
    graph = build("outer")
    graph.registry.add(mark, add)
    first = graph.add("first", mark, text=graph.input("text", Text))
    graph.output("text", graph.add("within", inner.build(), text=first))
    result = engine.run(graph.checked(), {"text": Text("x")}, registry=graph.registry)
    assert result.outputs == {"text": Text("x...")}
    started = {event.node: event for event in result.events if event.kind == "started"}
    assert list(started) == ["first", "within", "within/one", "within/two"]
    assert started["within"].parent == started["first"].parent == 0
    assert started["within/one"].parent == started["within/two"].parent == started["within"].span
    assert len({event.span for event in started.values()}) == 4
    assert result.events[-1].node == "within"
    assert result.events[-1].kind == "finished"
    assert {call.parent for call in result.calls if "/" in call.node} == {started["within"].span}


def test_a_listener_that_raises_ends_the_run_and_is_heard(engine: Engine, build: Build) -> None:
    graph = build()
    graph.output("text", graph.add("n", add, text=graph.input("text", Text)))

    def listen(event: Event) -> None:
        raise LookupError("listener")

    with pytest.raises(LookupError, match="listener"):
        engine.run(graph.checked(), {"text": Text("x")}, on_event=listen, registry=graph.registry)


def test_the_first_medium_of_each_modality_is_timed(engine: Engine, build: Build) -> None:
    @tool(cacheable=False)
    def talk(text: Text, ctx: Context) -> Text:
        ctx.token("a")
        return text

    graph = build()
    graph.output("text", graph.add("talk", talk, text=graph.input("text", Text)))
    first = engine.run(graph.checked(), {"text": Text("x")}, registry=graph.registry).first
    assert list(first) == ["token", "text"]
    assert 0 < first["token"] <= first["text"]
