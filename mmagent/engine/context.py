"""What a running call may say and ask: the `ctx` of tools. One for each attempt at a call."""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter
from typing import TYPE_CHECKING, Any

from mmagent.errors import Cancelled
from mmagent.media import Media

if TYPE_CHECKING:
    from mmagent.engine.instances import Slot
    from mmagent.engine.job import Job
    from mmagent.engine.splice import SplicedGraph


class CallContext:
    """One attempt at a call, seen by its tool; usable from any thread of the tool's, and void when the attempt is over."""

    __slots__ = ("_job", "deadline", "slot", "spliced", "started")

    def __init__(self, job: Job, slot: Slot | None) -> None:
        self._job, self.slot = job, slot
        self.started = perf_counter()
        self.deadline = self.started + (job.node.timeout or 0.0)
        self.spliced = False

    @property
    def seed(self) -> int:
        """The node's seed; a tool that draws random numbers draws them all from it."""
        return self._job.seed

    @property
    def cancelled(self) -> bool:
        """Whether the call should stop: the run is over, or the attempt was given up."""
        return self._job.run.over or self._job.attempt is not self

    def check(self) -> None:
        """Raise Cancelled if the call should stop."""
        if self.cancelled:
            raise Cancelled(f"node {self._job.name} was told to stop")

    def progress(self, done: float, total: float = 1.0, note: str = "") -> None:
        """Say how far the call is; it also restarts the node's timeout, and raises Cancelled like `check`."""
        self.check()
        self.alive()
        self._job.emit("progress", (done, total, note))

    def token(self, text: str) -> None:
        """Publish a piece of text as it is made."""
        self.tell("token", text)

    def preview(self, media: Media) -> None:
        """Publish an unfinished result."""
        self.tell("preview", media)

    def splice(self, graph: Any, inputs: Mapping[str, Media], place: str) -> SplicedGraph:
        """Run a subgraph beside this call; its outputs join the run's result under `place`.

        `graph` is a GraphSpec, a name, or already checked. GraphError, and nothing starts, if it does not check
        or the inputs do not fit; RunError if another node has filled the place. A repeated attempt that fills
        its place again is given the subgraph that its first attempt started.
        """
        self.check()
        from mmagent.engine.splice import splice

        self.alive()
        self.spliced = True
        return splice(self._job, graph, inputs, place)

    def tell(self, kind: Any, data: Any) -> None:
        """Publish an event of that kind, unless the attempt is over."""
        if not self.cancelled:
            self.alive()
            self._job.emit(kind, data)

    def alive(self) -> None:
        """Restart the timeout."""
        self.deadline = perf_counter() + (self._job.node.timeout or 0.0)
