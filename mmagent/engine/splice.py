"""Subgraphs that a node adds to its run while it goes on: checked first, then run beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mmagent.engine.frame import Frame
from mmagent.errors import RunError
from mmagent.media import Media

if TYPE_CHECKING:
    from mmagent.engine.job import Job
    from mmagent.engine.result import Result
    from mmagent.engine.scheduler import Run


class SplicedGraph:
    """A subgraph that is being run on behalf of a node."""

    def __init__(self, run: Run, frame: Frame) -> None:
        self._run, self._frame = run, frame

    @property
    def done(self) -> bool:
        """Whether every output of the subgraph is there, or has failed."""
        return self._frame.done

    @property
    def result(self) -> Result | None:
        """What became of it, once it is done."""
        return self._run.result(self._frame) if self._frame.done else None


def splice(job: Job, graph: Any, inputs: Mapping[str, Media], place: str) -> SplicedGraph:
    """Check a graph and its inputs, and run it beside the node; see `Context.splice`."""
    run, outer = job.run, job.frame
    plan = run.engine.plan(graph, registry=outer.plan.registry if run.registry is None else run.registry)
    run.engine.check_inputs(plan, inputs)
    frame = Frame(
        plan, inputs, outer.seed, run.spans(len(plan.nodes) + len(plan.groups)), job.span, f"{outer.path}{place}/"
    )
    frame.place, frame.owner = place, job.span
    with run.lock:
        other = outer.spliced.setdefault(place, frame)
    if other is not frame:
        if other.owner == job.span:
            return SplicedGraph(run, other)
        raise RunError(f"node {job.name} splices into place {place!r}, which another node has filled; choose another")
    job.emit("spliced", place)
    run.join(frame)
    return SplicedGraph(run, frame)
