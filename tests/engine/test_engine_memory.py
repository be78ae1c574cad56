"""What a run leaves behind: nothing that is not in its result or its caches."""

from __future__ import annotations

import asyncio
import gc
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from mmagent.engine import Engine
from mmagent.graph.builder import GraphBuilder
from mmagent.media import Media, Text
from mmagent.tool import Tool, tool

Build = Callable[..., GraphBuilder]


class Weighty(Media, modality="weighty"):
    """A medium that can be watched."""


@tool(inline=True)
def inline(text: Text) -> Weighty:
    """In place."""
    return Weighty({}, {"text": text.text})


@tool
def threaded(text: Text) -> Weighty:
    """In a thread."""
    return Weighty({}, {"text": text.text})


@tool
async def looped(text: Text) -> Weighty:
    """On the loop."""
    await asyncio.sleep(0)
    return Weighty({}, {"text": text.text})


class Lent(Tool, name="lent.v1", concurrency="exclusive"):
    """In a thread, by an instance."""

    def run(self, text: Text) -> Weighty:
        return Weighty({}, {"text": text.text})


@pytest.mark.parametrize("api", ["run", "stream"])
@pytest.mark.parametrize("step", [inline, threaded, looped, Lent])
def test_media_go_with_the_result_without_waiting_for_the_garbage_collector(
    forgetful: Engine, build: Build, step: Any, api: str
) -> None:
    graph = build()
    options: Any = None if step is inline else {"timeout": 60.0, "retries": 1}
    graph.output("made", graph.add("n", step, options, text=graph.input("text", Text)))
    plan = forgetful.plan(graph.checked(), registry=graph.registry)
    gc.collect()
    gc.disable()
    try:
        if api == "run":
            result = forgetful.run(plan, {"text": Text("x")})
        else:
            stream = forgetful.stream(plan, {"text": Text("x")})
            for _ in stream:
                pass
            result = stream.result
            del stream, _
        made = result.outputs["made"]
        assert isinstance(made, Weighty)
        watched = weakref.ref(made)
        del made, result
        until = time.monotonic() + 5
        while watched() is not None and time.monotonic() < until:
            time.sleep(0.01)  # a worker or the loop may still be on its way out of the call
        assert watched() is None
    finally:
        gc.enable()
