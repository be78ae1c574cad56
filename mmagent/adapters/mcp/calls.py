"""One call that a client makes: the graph that it is, run by the engine, its progress told, its outputs written."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from mmagent.adapters.mcp.content import Writer
from mmagent.adapters.mcp.gauge import Gauge
from mmagent.card import ANY, Card, Port, Scalar
from mmagent.engine import Engine, Event
from mmagent.graph.library import Library
from mmagent.graph.single import single
from mmagent.media import Media

if TYPE_CHECKING:
    from mcp.server.context import ServerRequestContext

    from mmagent.agent import Agent, ReplyStream

    Inputs = Mapping[str, Media | Sequence[Media]]

ASK = Card(
    name="ask.v1",
    kind="reasoner",
    inputs=(Port("request", "text"), Port("media", ANY, many=True, optional=True)),
    outputs=(Port("reply", ANY, many=True),),
    doc="Ask a multimodal assistant, which may answer in words, pictures, sounds and other media.",
)
"""The agent as a tool."""

_STEPS = 100
"""Calls that a turn is taken to have, since nobody knows before."""


async def call(
    card: Card,
    inputs: Inputs,
    settings: Mapping[str, Scalar],
    seed: int,
    library: Library,
    engine: Engine,
    writer: Writer,
    ctx: ServerRequestContext[Any],
) -> None:
    """Run a tool or graph and write its outputs. Files are written in a thread: other callers are served meanwhile."""
    from anyio import to_thread

    plan = await to_thread.run_sync(
        lambda: engine.plan(library.checked(single(card, inputs, settings)), registry=library.registry)
    )
    stream = engine.astream(plan, inputs, seed=seed, registry=library.registry)
    await _follow(stream, Gauge(len(plan.nodes)), ctx)
    await to_thread.run_sync(writer.outputs, stream.result.outputs)


async def ask(agent: Agent, inputs: Inputs, seed: int, writer: Writer, ctx: ServerRequestContext[Any]) -> None:
    """Have an agent answer in a conversation of its own, and write the parts of its reply in their order."""
    from anyio import to_thread

    await to_thread.run_sync(lambda: agent.reasoner)  # loads its weights once, before there are copies
    own = copy.copy(agent)
    own.forget()
    media = inputs.get("media", ())
    parts = [media] if isinstance(media, Media) else media
    stream = own.stream(*parts, str(inputs["request"]), seed=seed)
    await _follow(_each(stream), Gauge(_STEPS), ctx)
    for part in stream.reply.parts:
        if isinstance(part, Media):
            await to_thread.run_sync(writer.media, part, "reply")
        else:
            writer.words(str(part), "reply")


async def _each(stream: ReplyStream) -> AsyncGenerator[Event, None]:
    """The events of a turn, as what can be closed."""
    async for event in stream:
        yield event


class _Events(Protocol):
    """The events of a run; closing them cancels it."""

    def __aiter__(self) -> AsyncIterator[Event]: ...

    async def aclose(self) -> None: ...


async def _follow(events: _Events, gauge: Gauge, ctx: ServerRequestContext[Any]) -> None:
    """Take a run's events to their end, telling the caller how far it is. Cancelling this cancels the run."""
    async with contextlib.aclosing(events):
        async for event in events:
            told = gauge.see(event)
            if told is not None:
                await ctx.session.report_progress(told[0], gauge.total, told[1])
