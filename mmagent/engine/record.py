"""Notes that a run takes of its calls: cheap to write, turned into events and `Call`s when somebody asks.

Media stand in them by reference, so that nothing is hashed, and nothing copied, for a note.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from mmagent.card import Scalar
from mmagent.engine.events import Call, Event, Handle, Status
from mmagent.engine.outcome import arguments
from mmagent.errors import RunError
from mmagent.media import Media

if TYPE_CHECKING:
    from mmagent.engine.frame import Frame
    from mmagent.engine.plan import NodePlan


class Record(NamedTuple):
    """How a call ended. `seed` may be the node that it is derived for; `failure` is a reason if it was skipped."""

    frame: Frame
    node: str
    tool: str
    span: int
    parent: int
    status: Status
    started: float
    seconds: float
    seed: int | NodePlan
    key: str
    settings: Mapping[str, Scalar]
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]
    attempts: int
    failure: RunError | str | None

    @property
    def event(self) -> Event:
        """What is told of the end."""
        data = self.failure if self.failure is not None else arguments(self.outputs)
        kind = "failed" if self.status == "cancelled" else self.status
        return Event(kind, self.span, self.parent, self.node, self.tool, self.started + self.seconds, data)

    @property
    def events(self) -> tuple[Event, ...]:
        """The same; that it began was told when it did."""
        return (self.event,)

    @property
    def call(self) -> Call:
        """The record proper: media as handles."""
        return Call(
            self.node,
            self.tool,
            self.span,
            self.parent,
            self.status,
            self.started,
            self.seconds,
            self.seed if isinstance(self.seed, int) else self.frame.seed_of(self.seed),
            self.key,
            self.settings,
            handles(self.inputs),
            handles(self.outputs),
            self.attempts,
            str(self.failure) if self.failure is not None else "",
        )


class Brief(NamedTuple):
    """The same of a simple node that went well, with nothing in it that can be worked out later."""

    frame: Frame
    node: NodePlan
    started: float
    ended: float
    key: str
    inputs: Mapping[str, Any]
    output: Media

    @property
    def events(self) -> tuple[Event, Event]:
        """What is told of it: that it began and that it ended."""
        frame, node = self.frame, self.node
        place = frame.span(node), frame.parent_of(node), frame.name(node.name), node.tool
        return Event("started", *place, self.started), Event(
            "finished", *place, self.ended, {node.own.output: self.output}
        )

    @property
    def call(self) -> Call:
        """The record proper."""
        frame, node = self.frame, self.node
        return Call(
            frame.name(node.name),
            node.tool,
            frame.span(node),
            frame.parent_of(node),
            "finished",
            self.started,
            self.ended - self.started,
            frame.seed_of(node),
            self.key,
            node.own.settings,
            handles({take.name: self.inputs[take.name] for take in node.takes}),
            handles({node.own.output: self.output}),
        )


Note = Event | Record | Brief
"""What a run keeps of what happened, in order."""


def handles(values: Mapping[str, Any]) -> dict[str, tuple[Handle, ...]]:
    """Values by port as handles, those that are nothing left out."""
    return {
        port: tuple(Handle(item.modality, item.digest) for item in items(value))
        for port, value in values.items()
        if value is not None
    }


def items(value: Any) -> tuple[Media, ...]:
    """The media of a port's value."""
    if value is None:
        return ()
    return (value,) if isinstance(value, Media) else tuple(value)
