"""What a run leaves: outputs, failures, and the record of every call, written down when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from mmagent.card import Scalar
from mmagent.engine.events import Call, Event, Handle, Status
from mmagent.errors import Cancelled, RunError
from mmagent.media import Media

if TYPE_CHECKING:
    from mmagent.engine.frame import Frame
    from mmagent.engine.plan import NodePlan

Output = Media | list[Media] | None


class Record(NamedTuple):
    """A call as the engine notes it while it runs; media by reference, so that nothing is hashed for it."""

    frame: Frame
    node: str
    tool: str
    span: int
    parent: int
    status: Status
    started: float
    seconds: float
    seed: int
    key: str
    settings: Mapping[str, Scalar]
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]
    attempts: int
    error: str

    def call(self) -> Call:
        """The record proper: media as handles."""
        fields = self._asdict()
        del fields["frame"]
        return Call(**{**fields, "inputs": handles(self.inputs), "outputs": handles(self.outputs)})


class Short(NamedTuple):
    """The same of a simple node that went well, with nothing in it that can be worked out later."""

    frame: Frame
    node: NodePlan
    started: float
    seconds: float
    key: str
    arguments: Mapping[str, Any]
    output: Any

    def call(self) -> Call:
        """The record proper."""
        frame, node = self.frame, self.node
        variant = node.variants[0]
        return Call(
            frame.name(node.name),
            node.tool,
            frame.span(node),
            frame.parent_of(node),
            "finished",
            self.started,
            self.seconds,
            frame.seed_of(node),
            self.key,
            variant.settings,
            handles({name: self.arguments[name] for name, _, _ in node.straight}),
            handles({variant.returns[0].port.name: self.output}),
        )


class Result:
    """The outcome of a run, or of one subgraph that was spliced into it.

    `outputs` has every output that was made, in the graph's order; None stands for one that was left out
    because something optional was not there. What a failure took away is absent, and `failures` says why, by
    node. `spliced` holds the results of subgraphs by place, `events` all that was told, `seconds` the time
    from start to end.
    """

    def __init__(
        self,
        graph: str,
        outputs: dict[str, Output],
        failures: dict[str, RunError],
        records: list[Record | Short],
        events: list[Event],
        spliced: dict[str, Result],
        seconds: float,
        cancelled: bool = False,
    ) -> None:
        self.graph, self.outputs, self.failures, self.events = graph, outputs, failures, events
        self.spliced, self.seconds, self.cancelled = spliced, seconds, cancelled
        self._records = records

    def __repr__(self) -> str:
        return (
            f"Result({self.graph!r}, outputs={list(self.outputs)}, failures={list(self.failures)}, "
            f"spliced={list(self.spliced)}, seconds={self.seconds:.3f})"
        )

    @cached_property
    def calls(self) -> tuple[Call, ...]:
        """Every call in the order in which they ended, those of spliced subgraphs included."""
        return tuple(record.call() for record in self._records)

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
                    for item in _items(value):
                        found.setdefault(item.modality, event.time)
        return found

    def raise_failure(self) -> Result:
        """This result if nothing failed; else raise the first failure, Cancelled if the run was stopped."""
        if self.cancelled:
            raise Cancelled(f"graph {self.graph} was cancelled after {self.seconds:.2f} s")
        for failure in self.failures.values():
            raise failure
        return self


def handles(values: Mapping[str, Any]) -> dict[str, tuple[Handle, ...]]:
    """Values by port as handles, those that are nothing left out."""
    return {
        port: tuple(Handle(item.modality, item.digest) for item in _items(value))
        for port, value in values.items()
        if value is not None
    }


def _items(value: Any) -> tuple[Media, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, Media) else tuple(value)
