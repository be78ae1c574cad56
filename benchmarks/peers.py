"""The same graphs in every engine, each written as that engine's documentation recommends.

Values are `Text` media and the work is none: a node gives back its input, a join joins. A contestant is what
runs the built graph once on a new input and gives the final text.
"""

import asyncio
import operator
import os
import sys
import time
from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Annotated, Any, TypedDict

os.environ.setdefault("HAYSTACK_TELEMETRY_ENABLED", "False")
os.environ.setdefault("HAMILTON_TELEMETRY_ENABLED", "false")

from mmagent.engine import Engine
from mmagent.graph.builder import GraphBuilder
from mmagent.media import Embedding, Text
from mmagent.registry import Registry
from mmagent.tool import tool

Contestant = Callable[[Text], Text]

WIDTH = 16
NAP = 0.05


def joined(texts: list[Text]) -> Text:
    """What a join does."""
    return Text("".join([text.text for text in texts]))


# -- plain calls


def same(text: Text) -> Text:
    """What a node does."""
    return text


def plain_chain(length: int) -> Contestant:
    steps = [same] * length

    def run(text: Text) -> Text:
        for step in steps:
            text = step(text)
        return text

    return run


def plain_fan(width: int) -> Contestant:
    steps = [same] * width
    return lambda text: joined([step(text) for step in steps])


# -- asyncio, one task a node


async def asame(text: Awaitable[Text]) -> Text:
    return await text


async def _value(text: Text) -> Text:
    return text


async def _chain(text: Text, length: int) -> Text:
    last: Awaitable[Text] = asyncio.ensure_future(_value(text))
    for _ in range(length):
        last = asyncio.ensure_future(asame(last))
    return await last


async def _fan(text: Text, width: int) -> Text:
    return joined(await asyncio.gather(*(asyncio.ensure_future(_value(text)) for _ in range(width))))


def asyncio_chain(length: int) -> Contestant:
    loop = asyncio.new_event_loop()
    return lambda text: loop.run_until_complete(_chain(text, length))


def asyncio_fan(width: int) -> Contestant:
    loop = asyncio.new_event_loop()
    return lambda text: loop.run_until_complete(_fan(text, width))


# -- hamilton: a module of functions, wired by their parameters' names


def _hamilton(functions: list[Any], last: str) -> Contestant:
    from hamilton import driver
    from hamilton.ad_hoc_utils import create_temporary_module

    module: ModuleType = create_temporary_module(
        *functions, module_name=f"bench_{len(functions)}_{time.monotonic_ns()}"
    )
    built = driver.Builder().with_modules(module).build()
    return lambda text: built.execute([last], inputs={"text": text})[last]


def _function(source: str, name: str) -> Any:
    names: dict[str, Any] = {"Text": Text, "joined": joined}
    exec(source, names)  # noqa: S102  # hamilton reads the graph off the names of functions
    return names[name]


def hamilton_chain(length: int) -> Contestant:
    sys.setrecursionlimit(max(sys.getrecursionlimit(), 50 * length))  # it walks the graph by recursion
    before = ["text", *(f"n{index}" for index in range(length))]
    functions = [
        _function(f"def n{index}({before[index]}: Text) -> Text:\n    return {before[index]}\n", f"n{index}")
        for index in range(length)
    ]
    return _hamilton(functions, f"n{length - 1}")


def hamilton_fan(width: int) -> Contestant:
    names = [f"n{index}" for index in range(width)]
    functions = [_function(f"def {name}(text: Text) -> Text:\n    return text\n", name) for name in names]
    parameters = ", ".join(f"{name}: Text" for name in names)
    functions.append(_function(f"def last({parameters}) -> Text:\n    return joined([{', '.join(names)}])\n", "last"))
    return _hamilton(functions, "last")


# -- haystack: a pipeline of components


def _haystack() -> tuple[Any, Any, Any]:
    from haystack import Pipeline, component
    from haystack.core.component.types import Variadic

    @component
    class Same:
        @component.output_types(text=Text)
        def run(self, text: Text) -> dict[str, Text]:
            return {"text": text}

    @component
    class Join:
        @component.output_types(text=Text)
        def run(self, texts: Variadic[Text]) -> dict[str, Text]:
            return {"text": joined(list(texts))}

    return Pipeline, Same, Join


def haystack_chain(length: int) -> Contestant:
    pipeline_class, same_class, _ = _haystack()
    pipeline = pipeline_class()
    for index in range(length):
        pipeline.add_component(f"n{index}", same_class())
    for index in range(1, length):
        pipeline.connect(f"n{index - 1}.text", f"n{index}.text")
    last = f"n{length - 1}"
    return lambda text: pipeline.run({"n0": {"text": text}})[last]["text"]


def haystack_fan(width: int) -> Contestant:
    pipeline_class, same_class, join_class = _haystack()
    pipeline = pipeline_class()
    pipeline.add_component("last", join_class())
    for index in range(width):
        pipeline.add_component(f"n{index}", same_class())
        pipeline.connect(f"n{index}.text", "last.texts")
    return lambda text: pipeline.run({f"n{index}": {"text": text} for index in range(width)})["last"]["text"]


# -- langgraph: a state graph


class ChainState(TypedDict):
    text: Text


def langgraph_chain(length: int) -> Contestant:
    from langgraph.graph import END, START, StateGraph

    def step(state: ChainState) -> ChainState:
        return {"text": state["text"]}

    graph = StateGraph(ChainState)
    for index in range(length):
        graph.add_node(f"n{index}", step)
    graph.add_edge(START, "n0")
    for index in range(1, length):
        graph.add_edge(f"n{index - 1}", f"n{index}")
    graph.add_edge(f"n{length - 1}", END)
    compiled = graph.compile()
    config: Any = {"recursion_limit": length + 10}
    return lambda text: compiled.invoke({"text": text}, config)["text"]


class FanState(TypedDict):
    text: Text
    texts: Annotated[list[Text], operator.add]
    last: Text


def langgraph_fan(width: int) -> Contestant:
    from langgraph.graph import END, START, StateGraph

    graph = StateGraph(FanState)
    graph.add_node("last", lambda state: {"last": joined(state["texts"])})
    for index in range(width):
        graph.add_node(f"n{index}", lambda state: {"texts": [state["text"]]})
        graph.add_edge(START, f"n{index}")
    graph.add_edge([f"n{index}" for index in range(width)], "last")
    graph.add_edge("last", END)
    compiled = graph.compile()
    return lambda text: compiled.invoke({"text": text, "texts": []})["last"]


# -- mmagent


@tool(name="inline", inline=True)
def inline_same(text: Text) -> Text:
    """A node marked inline."""
    return text


@tool(name="ordinary")
def ordinary_same(text: Text, step: int = 0) -> Text:
    """An ordinary node: in a thread, and its result cached."""
    return text


@tool(name="big")
def big_same(states: Embedding) -> Embedding:
    """An ordinary node for what is large."""
    return states


@tool(name="joins", inline=True)
def join_tool(texts: list[Text]) -> Text:
    """A join."""
    return joined(texts)


@tool(name="nap", cacheable=False)
def nap(text: Text) -> Text:
    """A call that takes a while."""
    time.sleep(NAP)
    return text


def builder() -> GraphBuilder:
    return GraphBuilder("bench", registry=Registry())


def apart(kind: Any, index: int) -> dict[str, Any]:
    """A setting by which equal calls of a cached tool differ, so that none is spared."""
    return {"step": index} if kind is ordinary_same else {}


def mmagent_chain(length: int, engine: Engine, kind: Any = inline_same) -> Contestant:
    graph = builder()
    last = graph.input("text", Text)
    for index in range(length):
        last = graph.add(f"n{index}", kind, text=last, **apart(kind, index))
    graph.output("text", last)
    plan = engine.plan(graph.checked(), registry=graph.registry)
    return lambda text: engine.run(plan, {"text": text}).outputs["text"]  # type: ignore[return-value]  # a Text


def mmagent_fan(width: int, engine: Engine, kind: Any = inline_same) -> Contestant:
    graph = builder()
    text = graph.input("text", Text)
    nodes = [graph.add(f"n{index}", kind, text=text, **apart(kind, index)) for index in range(width)]
    graph.output("text", graph.add("last", join_tool, texts=nodes))
    plan = engine.plan(graph.checked(), registry=graph.registry)
    return lambda text: engine.run(plan, {"text": text}).outputs["text"]  # type: ignore[return-value]  # a Text
