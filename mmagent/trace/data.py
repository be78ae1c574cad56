"""A trace as data: calls, routes, parts and times of one turn. Media appear by handle alone, never by content.

It round-trips through JSON exactly; `mmagent.trace.page` shows it, `Reply.replay` runs it again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from mmagent.card import Scalar
from mmagent.conversation import Role, Usage
from mmagent.engine.events import Call, Handle

Wire = Literal["embedding", "text", "refs"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A way to serve a signal that the router looked at: taken, or refused and why. `path` is its tools in order."""

    path: tuple[str, ...]
    wire: Wire
    accepted: bool
    reason: str
    cost: float = 0.0
    lossy: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """How one signal was served: by which wire and tools, and what else was considered."""

    place: int
    modality: str
    caption: str
    wire: Wire | None
    path: tuple[str, ...]
    reason: str
    candidates: tuple[Candidate, ...] = ()
    refs: tuple[Handle, ...] = ()
    states: Handle | None = None
    seconds: float = 0.0
    """When the signal was complete, in seconds since the turn began."""


@dataclass(frozen=True, slots=True)
class Edge:
    """A value's way in the graph that ran: from a node (or input) to a port."""

    source: str
    target: str
    port: str
    modality: str


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the graph that ran: part of the turn's own graph, or spliced in for the signal at `place`."""

    name: str
    tool: str
    kind: str
    inserted: bool = False
    place: int | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One pass of the model over the conversation, and all that it set going.

    Its calls count seconds from the beginning of the turn, its routes and nodes count places from that of the
    step's first part.
    """

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    calls: tuple[Call, ...]
    routes: tuple[Route, ...]
    spec: str
    """The turn's graph as YAML."""
    usage: Usage | None = None
    """What the reasoner took, if it counts."""

    @property
    def begun(self) -> tuple[Call, ...]:
        """Its calls in the order in which they began."""
        return tuple(sorted(self.calls, key=lambda call: (call.started, call.span)))


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the reply: its medium by handle, or the error that took its place.

    `place` counts from 0 through the whole reply; `step` is the index of the step that it comes from.
    """

    place: int
    modality: str
    handle: Handle | None
    error: str = ""
    seconds: float = 0.0
    """When it was there, in seconds since the turn began."""
    step: int = 0


@dataclass(frozen=True, slots=True)
class Said:
    """One message of the conversation that went in: its role and segments as `(kind, words, handle)`."""

    role: Role
    segments: tuple[tuple[str, str | None, Handle | None], ...]


@dataclass(frozen=True, slots=True)
class Trace:
    """One turn: what went in, every step, what came out, and when."""

    model: str
    seed: int
    policy: Mapping[str, object]
    request: tuple[Said, ...]
    steps: tuple[Step, ...]
    parts: tuple[Part, ...]
    media: Mapping[str, Mapping[str, Scalar]] = field(default_factory=dict)
    """Digest → plain facts (modality, size, length …) of every medium that is named."""
    seconds: float = 0.0
    first_token: float | None = None
    first_audio: float | None = None
    version: str = ""

    @property
    def calls(self) -> tuple[Call, ...]:
        """Every call of the turn, in the order in which they began."""
        return tuple(call for step in self.steps for call in step.begun)

    @property
    def usage(self) -> tuple[Usage, ...]:
        """What the reasoner took, of every step in which it counted."""
        return tuple(step.usage for step in self.steps if step.usage is not None)

    @property
    def routes(self) -> tuple[Route, ...]:
        """Every signal's route."""
        return tuple(route for step in self.steps for route in step.routes)

    def part_at(self, step: int, place: int) -> Part | None:
        """The part that a place of a step's answer became: where its routes and spliced nodes lead."""
        own = [part for part in self.parts if part.step == step]
        return next((part for part in own if part.place - own[0].place == place), None)

    @property
    def signals(self) -> tuple[tuple[Route, Part | None], ...]:
        """Every signal's route with the part that came of it, in the order of `routes`."""
        return tuple(
            (route, self.part_at(number, route.place))
            for number, step in enumerate(self.steps)
            for route in step.routes
        )

    @property
    def cache_hits(self) -> int:
        """How many calls were answered by the cache."""
        return sum(call.status == "cached" for call in self.calls)

    def to_json(self) -> str:
        """The trace as JSON."""
        from pydantic import TypeAdapter

        return TypeAdapter(Trace).dump_json(self, indent=1).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Trace:
        """A trace out of its JSON; pydantic's ValidationError tells what does not fit."""
        from pydantic import TypeAdapter

        return TypeAdapter(Trace).validate_json(text)
