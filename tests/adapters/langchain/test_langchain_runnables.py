"""Tools and graphs as Runnables: invoked, streamed, batched, awaited, in chains, with config and callbacks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda, RunnableParallel

from mmagent import Agent, Context, Engine, GraphBuilder, Image, Text, tool
from mmagent.adapters.langchain import AgentChatModel, as_runnable
from mmagent.errors import CardError, GraphError, NodeFailed
from mmagent.model import ScriptedReasoner
from mmagent.testing import halve, join
from mmagent.testing import words as split_words

PICTURE = Image(np.arange(48, dtype="uint8").reshape(4, 4, 3))


@tool(name="paint.v1", cacheable=False)
def paint(prompt: Text, size: int = 2) -> Image:
    """Paint what the words say."""
    return Image(np.full((size, size, 3), len(prompt.text), "uint8"))


@tool(name="look.v1", lossy=True)
def look(image: Image) -> Text:
    """Say how large a picture is."""
    return Text(f"{image.width} by {image.height}")


@tool(name="tell.v1", kind="generator", cacheable=False)
def tell(prompt: Text, ctx: Context, keep: bool = False) -> Text:
    """Say the words again, one by one."""
    for place, word in enumerate(prompt.text.split(" ")):
        ctx.progress(place, 10)
        ctx.token(f" {word}" if place else word)
    return Text(prompt.text if not keep else f"{prompt.text}!")


@tool(name="sharpen.v1", cacheable=False)
def sharpen(prompt: Text, last: bool = True) -> Iterator[Image]:
    """Paint more and more."""
    for size in (1, 2, 3):
        yield Image(np.full((size, size, 3), len(prompt.text), "uint8"))


def a_graph() -> GraphBuilder:
    graph = GraphBuilder("paint-and-look")
    painted = graph.add("paint", paint, prompt=graph.input("prompt", Text), size=6)
    graph.output("picture", painted)
    graph.output("size", graph.add("look", look, image=painted))
    return graph


# -- whole


def test_words_go_in_and_out_as_strings_and_media_as_they_are() -> None:
    assert as_runnable(paint).invoke("abc") == paint(Text("abc"))
    assert as_runnable(look).invoke(PICTURE) == "4 by 4"
    assert as_runnable(paint).invoke({"prompt": Text("abc"), "size": 5}) == paint(Text("abc"), size=5)
    assert as_runnable(paint, settings={"size": 7}).invoke("abc").width == 7
    assert as_runnable(split_words).invoke("a cat") == ["a", "cat"]
    assert as_runnable(join).invoke({"texts": ["a", Text("b")]}) == "a b"


async def test_it_may_be_awaited() -> None:
    assert await as_runnable(paint).ainvoke("abc") == paint(Text("abc"))
    assert await as_runnable(look).abatch([PICTURE, PICTURE]) == ["4 by 4"] * 2


def test_a_graph_gives_its_outputs_by_name() -> None:
    assert as_runnable(a_graph()).invoke("abc") == {"picture": paint(Text("abc"), size=6), "size": "6 by 6"}
    assert as_runnable(halve).invoke("one") == {"first": "one", "rest": None}


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(CardError, match="takes media or words, not int"):
        as_runnable(paint).invoke({"prompt": 3})
    with pytest.raises(CardError, match="no setting 'hue'"):
        as_runnable(paint).invoke({"prompt": "a", "hue": 3})
    with pytest.raises(GraphError, match="expected image, got text"):
        as_runnable(look).invoke("words")
    with pytest.raises(GraphError, match="nothing"):
        as_runnable(look).invoke({})

    @tool(name="two.v1", lossy=True)
    def two(a: Text, b: Text) -> Text:
        """Take two."""
        return a

    with pytest.raises(CardError, match=r"by name \(a, b\)"):
        as_runnable(two).invoke("x")


# -- streamed


def test_words_stream_piece_by_piece_and_are_not_told_twice() -> None:
    chunks = list(as_runnable(tell).stream("a red cat"))
    assert chunks == ["a", " red", " cat"]


def test_words_that_end_differently_are_told_whole() -> None:
    *pieces, last = as_runnable(tell, settings={"keep": True}).stream("a cat")
    assert pieces == ["a", " cat"] and last == "a cat!"


def test_what_a_preview_has_shown_is_not_told_again() -> None:
    chunks = list(as_runnable(sharpen).stream("abc"))
    assert [chunk.width for chunk in chunks] == [1, 2, 3]
    assert as_runnable(sharpen).invoke("abc") == chunks[-1]


def test_outputs_come_as_soon_as_they_are_there() -> None:
    seen = threading.Event()

    @tool(name="wait-and-look.v1", lossy=True, cacheable=False)
    def wait(image: Image) -> Text:
        """Look when the picture has been seen."""
        assert seen.wait(10)
        return Text("seen")

    graph = GraphBuilder("waits")
    painted = graph.add("paint", paint, prompt=graph.input("prompt", Text))
    graph.output("picture", painted)
    graph.output("words", graph.add("wait", wait, image=painted))
    names = []
    for chunk in as_runnable(graph).stream("abc"):
        names += list(chunk)
        seen.set()
    assert names == ["picture", "words"]


def added(chunks: Iterator[Any]) -> Any:
    """The sum of chunks as LangChain takes it: what cannot be added replaces what was there."""
    total = next(chunks)
    for chunk in chunks:
        try:
            total = total + chunk
        except TypeError:
            total = chunk
    return total


@settings(max_examples=30, deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=20), st.booleans())
def test_the_chunks_of_words_add_up_to_the_whole(text: str, keep: bool) -> None:
    made = as_runnable(tell, settings={"keep": keep}, engine=ENGINE)
    assert added(made.stream(text)) == made.invoke(text)


ENGINE = Engine()


@pytest.mark.parametrize("keep", [False, True])
def test_what_follows_in_a_chain_may_add_to_streamed_words(keep: bool) -> None:
    chain = as_runnable(tell, settings={"keep": keep}) | RunnableLambda(lambda words: words + "?")
    assert list(chain.stream("a cat")) == [chain.invoke("a cat")]
    both = as_runnable(words_and_picture()) | RunnableLambda(lambda found: found["words"] + "?")
    assert list(both.stream("a cat")) == [both.invoke("a cat")] == ["a cat?"]


def words_and_picture() -> GraphBuilder:
    graph = GraphBuilder("words-and-picture")
    prompt = graph.input("prompt", Text)
    graph.output("words", graph.add("tell", tell, prompt=prompt))
    graph.output("sharp", graph.add("sharpen", sharpen, prompt=prompt))
    return graph


@pytest.mark.parametrize("what", [sharpen, paint, halve, a_graph(), words_and_picture()], ids=str)
def test_the_chunks_add_up_to_the_outputs(what: Any) -> None:
    made = as_runnable(what)
    assert added(made.stream("some words")) == made.invoke("some words")


async def test_the_async_stream_is_the_same() -> None:
    for made in (as_runnable(tell), as_runnable(sharpen), as_runnable(a_graph())):
        assert [chunk async for chunk in made.astream("a cat")] == list(made.stream("a cat"))


def test_a_repeated_attempt_does_not_garble_words() -> None:
    tries: list[int] = []

    @tool(name="stumble.v1", lossy=True, cacheable=False)
    def stumble(prompt: Text, ctx: Context) -> Text:
        """Begin twice."""
        ctx.token("one ")
        tries.append(1)
        if len(tries) == 1:
            raise ValueError("stumbled")
        ctx.token("two")
        return Text("one two")

    graph = GraphBuilder("tries")
    graph.output("text", graph.add("say", stumble, {"retries": 1}, prompt=graph.input("prompt", Text)))
    assert added(as_runnable(graph).stream("x")) == "one two"


def test_a_failure_comes_after_what_does_not_depend_on_it() -> None:
    @tool(name="fails.v1", lossy=True, cacheable=False)
    def fails(image: Image) -> Text:
        """Fail."""
        raise ValueError("no luck")

    graph = GraphBuilder("half")
    painted = graph.add("paint", paint, prompt=graph.input("prompt", Text))
    graph.output("words", graph.add("fails", fails, image=painted))
    graph.output("picture", painted)
    chunks = as_runnable(graph).stream("abc")
    assert list(next(chunks)) == ["picture"]
    with pytest.raises(NodeFailed, match="no luck"):
        list(chunks)


def test_leaving_a_stream_cancels_the_run() -> None:
    stopped = threading.Event()

    @tool(name="endless.v1", cacheable=False)
    def endless(prompt: Text, ctx: Context) -> Image:
        """Paint until told to stop."""
        ctx.preview(PICTURE)
        while not ctx.cancelled:
            threading.Event().wait(0.005)
        stopped.set()
        return PICTURE

    chunks = as_runnable(endless).stream("abc")
    assert next(chunks) == PICTURE
    chunks.close()  # type: ignore[attr-defined]  # it is a generator
    assert stopped.wait(10)


# -- in chains, with config


def test_it_chains_with_prompts_models_and_lambdas() -> None:
    reasoner = ScriptedReasoner(["A large one."])
    model = AgentChatModel(agent=Agent(reasoner, engine=Engine()))
    prompt = ChatPromptTemplate.from_messages([("human", "What is {size} like?")])
    chain = as_runnable(paint) | as_runnable(look) | (lambda size: {"size": size}) | prompt | model | StrOutputParser()
    assert chain.invoke("abc") == "".join(chain.stream("abc")) == "A large one."
    assert [heard.messages[0].text for heard in reasoner.heard] == ["What is 2 by 2 like?"] * 2
    both = RunnableParallel(small=as_runnable(paint), large=as_runnable(paint, settings={"size": 9}))
    assert [item.width for item in both.invoke("abc").values()] == [2, 9]
    assert (RunnableLambda(str.upper) | as_runnable(tell)).invoke("abc") == "ABC"


def test_a_batch_keeps_to_its_concurrency_and_gives_errors_where_asked() -> None:
    running, most, lock = 0, 0, threading.Lock()

    @tool(name="busy.v1", lossy=True, cacheable=False)
    def busy(text: Text) -> Text:
        """Be busy a moment."""
        nonlocal running, most
        if text.text == "d":
            raise ValueError("not d")
        with lock:
            running += 1
            most = max(most, running)
        threading.Event().wait(0.02)
        with lock:
            running -= 1
        return text

    made = as_runnable(busy).batch(list("abcd"), {"max_concurrency": 2}, return_exceptions=True)
    assert made[:3] == list("abc") and isinstance(made[3], NodeFailed) and most <= 2


class Told(BaseCallbackHandler):
    """Keeps what it was called with."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []

    def on_chain_start(self, serialized: Any, inputs: Any, **given: Any) -> None:
        self.told.append(("start", (given["name"], given["tags"])))

    def on_chain_end(self, outputs: Any, **given: Any) -> None:
        self.told.append(("end", outputs))

    def on_chain_error(self, error: BaseException, **given: Any) -> None:
        self.told.append(("error", type(error)))

    def on_custom_event(self, name: str, data: Any, **given: Any) -> None:
        self.told.append((name, data["done"]))


@pytest.mark.parametrize("streamed", [False, True])
def test_callbacks_hear_start_progress_and_end(streamed: bool) -> None:
    handler = Told()
    made = as_runnable(tell).with_config(tags=["a"], callbacks=[handler])
    _ = list(made.stream("a cat")) if streamed else made.invoke("a cat")
    assert handler.told == [
        ("start", ("tell", ["a"])), ("mmagent.progress", 0), ("mmagent.progress", 1), ("end", "a cat"),
    ]  # fmt: skip


async def test_events_of_a_chain_name_the_tool_and_its_progress() -> None:
    chain = RunnableLambda(lambda text: text) | as_runnable(tell)
    events = [event async for event in chain.astream_events("a cat", version="v2")]
    named = [(event["event"], event["name"]) for event in events]
    assert ("on_chain_start", "tell") in named and ("on_custom_event", "mmagent.progress") in named
    streamed = [event["data"]["chunk"] for event in events if event["event"] == "on_chain_stream" and event["name"] == "tell"]  # fmt: skip
    assert streamed == ["a", " cat"]


def test_errors_are_told_and_raised() -> None:
    handler = Told()
    with pytest.raises(GraphError):
        as_runnable(look, name="eye").invoke("words", {"callbacks": [handler]})
    assert handler.told == [("start", ("eye", [])), ("error", GraphError)]


def test_its_name_and_input_schema_are_the_cards() -> None:
    made = as_runnable(paint)
    assert (made.get_name(), as_runnable(a_graph()).get_name()) == ("paint", "paint-and-look")
    assert made.get_input_jsonschema()["required"] == ["prompt"]
    assert made.get_input_jsonschema()["properties"]["size"]["default"] == 2


def test_the_seed_is_its_own() -> None:
    @tool(name="dice.v1", lossy=True)
    def dice(text: Text, ctx: Context) -> Text:
        """Tell the seed."""
        return Text(str(ctx.seed))

    assert as_runnable(dice, seed=1).invoke("x") == as_runnable(dice, seed=1).invoke("x")
    assert as_runnable(dice, seed=1).invoke("x") != as_runnable(dice, seed=2).invoke("x")
