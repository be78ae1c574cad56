"""What a running call may say and ask: the contract between a tool and whatever runs it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from mmagent.media import Media


class Splice(Protocol):
    """A subgraph that is being run on behalf of a node."""

    @property
    def done(self) -> bool:
        """Whether every output of the subgraph is there, or has failed."""
        ...


class Context(Protocol):
    """What a running call may say and ask; a tool that takes a parameter `ctx: Context` is given one."""

    @property
    def seed(self) -> int:
        """The node's seed; a tool that draws random numbers draws them all from it."""
        ...

    @property
    def cancelled(self) -> bool:
        """Whether the call should stop; long tools look at it, or call `check`."""
        ...

    def check(self) -> None:
        """Raise Cancelled if the call should stop."""
        ...

    def progress(self, done: float, total: float = 1.0, note: str = "") -> None:
        """Say how far the call is; it also restarts the node's timeout, and raises Cancelled like `check`."""
        ...

    def token(self, text: str) -> None:
        """Publish a piece of text as it is made."""
        ...

    def preview(self, media: Media) -> None:
        """Publish an unfinished result."""
        ...

    def splice(self, graph: Any, inputs: Mapping[str, Media], place: str) -> Splice:
        """Run a subgraph beside this call; its outputs join the run's result under `place`.

        The subgraph is checked first: GraphError, and nothing starts, if it does not check.
        """
        ...
