"""Running a plan under LangChain's callbacks: the progress of its tools is told as custom events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.callbacks import BaseRunManager, adispatch_custom_event, dispatch_custom_event

from mmagent.engine.events import Event
from mmagent.engine.plan import Plan
from mmagent.engine.run import Engine
from mmagent.graph.single import Inputs

PROGRESS = "mmagent.progress"
"""The name of the events; their data are `node`, `tool`, `done`, `total` and `note`."""


def run(engine: Engine, plan: Plan, inputs: Inputs, seed: int, manager: BaseRunManager | None) -> Mapping[str, Any]:
    """The outputs of a run by name, its progress told to the handlers of a run manager, if there are any."""
    if manager is None or not manager.handlers:
        return engine.run(plan, inputs, seed=seed).outputs
    # The events are taken here, and not by a listener in a worker's thread, since callbacks go by the context.
    with engine.stream(plan, inputs, seed=seed) as events:
        for event in events:
            tell(event)
    return events.result.outputs


async def arun(
    engine: Engine, plan: Plan, inputs: Inputs, seed: int, manager: BaseRunManager | None
) -> Mapping[str, Any]:
    """The same without blocking the running loop."""
    if manager is None or not manager.handlers:
        result = await engine.arun(plan, inputs, seed=seed)
        return result.outputs
    async with engine.astream(plan, inputs, seed=seed) as events:
        async for event in events:
            await atell(event)
    return events.result.outputs


def tell(event: Event) -> None:
    """Dispatch an event if it tells progress; only within a run of LangChain's."""
    if event.kind == "progress":
        dispatch_custom_event(PROGRESS, _facts(event))


async def atell(event: Event) -> None:
    """The same in an async run."""
    if event.kind == "progress":
        await adispatch_custom_event(PROGRESS, _facts(event))


def _facts(event: Event) -> dict[str, Any]:
    done, total, note = event.data
    return {"node": event.node, "tool": event.tool, "done": done, "total": total, "note": note}
