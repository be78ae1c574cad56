"""What a running call may say and ask: the `ctx` of tools."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mmagent.errors import Cancelled, MediaError
from mmagent.media import Media

if TYPE_CHECKING:
    from mmagent.engine.attempt import Attempt
    from mmagent.engine.splice import SplicedGraph


class CallContext:
    """One attempt at a call, as its tool sees it; usable from any thread of the tool's, and void when it is over."""

    __slots__ = ("_attempt",)

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt

    @property
    def seed(self) -> int:
        """The node's seed; a tool that draws random numbers draws them all from it."""
        return self._attempt.job.seed

    @property
    def cancelled(self) -> bool:
        """Whether the call should stop: the run is over, or the attempt was given up."""
        return self._attempt.over

    def check(self) -> None:
        """Raise Cancelled if the call should stop."""
        if self._attempt.over:
            raise Cancelled(f"node {self._attempt.job.name} was told to stop")

    def progress(self, done: float, total: float = 1.0, note: str = "") -> None:
        """Say how far the call is; it also restarts the node's timeout, and raises Cancelled like `check`."""
        self.check()
        self._attempt.tell("progress", (done, total, note))

    def token(self, text: str) -> None:
        """Publish a piece of text as it is made."""
        self._attempt.tell("token", text)

    def preview(self, media: Media) -> None:
        """Publish an unfinished result; MediaError if it is not media."""
        if not isinstance(media, Media):
            raise MediaError(f"ctx.preview: expected media, got {type(media).__name__}; publish text with ctx.token")
        self._attempt.tell("preview", media)

    def splice(self, graph: Any, inputs: Mapping[str, Media], place: str) -> SplicedGraph:
        """Run a subgraph beside this call; its outputs join the run's result under `place`.

        `graph` is a GraphSpec, a name, or already checked. GraphError, and nothing starts, if it does not check
        or the inputs do not fit; RunError if another node has filled the place. A repeated attempt that fills
        its place again is given the subgraph that its first attempt started.
        """
        self.check()
        from mmagent.engine.splice import splice

        self._attempt.alive()
        self._attempt.spliced = True
        return splice(self._attempt.job, graph, inputs, place)
