"""What a run leaves: outputs, failures, and the record of every call, written down when it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from mmagent.engine.events import Call, Event
from mmagent.engine.record import Note, items
from mmagent.errors import Cancelled, RunError
from mmagent.media import Media

Output = Media | list[Media] | None


class Result:
    """The outcome of a run, or of one subgraph that was spliced into it.

    `outputs` has every output that was made, in the graph's order; None stands for one that was left out
    because something optional was not there. What a failure took away is absent, and `failures` says why, by
    node. `spliced` holds the results of subgraphs by place, `seconds` the time from start to end.
    """

    def __init__(
        self,
        graph: str,
        outputs: dict[str, Output],
        failures: dict[str, RunError],
        notes: Sequence[Note],
        spliced: dict[str, Result],
        seconds: float,
        cancelled: bool = False,
    ) -> None:
        self.graph, self.outputs, self.failures = graph, outputs, failures
        self.spliced, self.seconds, self.cancelled = spliced, seconds, cancelled
        self._notes = notes

    def __repr__(self) -> str:
        return (
            f"Result({self.graph!r}, outputs={list(self.outputs)}, failures={list(self.failures)}, "
            f"spliced={list(self.spliced)}, seconds={self.seconds:.3f})"
        )

    @cached_property
    def calls(self) -> tuple[Call, ...]:
        """Every call in the order in which they ended, those of spliced subgraphs included."""
        return tuple(note.call for note in self._notes if not isinstance(note, Event))

    @cached_property
    def events(self) -> tuple[Event, ...]:
        """All that was told, in order; of a spliced subgraph, how its calls ended."""
        return tuple(event for note in self._notes for event in ((note,) if isinstance(note, Event) else note.events))

    @cached_property
    def first(self) -> dict[str, float]:
        """Seconds until the first token (`token`), and until the first medium of each modality that was made."""
        found: dict[str, float] = {}
        for event in self.events:
            if event.kind == "token":
                found.setdefault("token", event.time)
            elif event.kind == "preview":
                found.setdefault(event.data.modality, event.time)
            elif event.kind in ("finished", "cached"):
                for value in (event.data or {}).values():
                    for item in items(value):
                        found.setdefault(item.modality, event.time)
        return found

    def raise_failure(self) -> Result:
        """This result if nothing failed; else raise the first failure, Cancelled if the run was stopped."""
        if self.cancelled:
            raise Cancelled(f"graph {self.graph} was cancelled after {self.seconds:.2f} s")
        for failure in self.failures.values():
            raise failure
        return self
