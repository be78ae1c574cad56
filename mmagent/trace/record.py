"""From what ran to its trace: nodes, edges, calls, routes, parts and the times at which they were there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

from mmagent.conversation import Conversation, Policy, Signal, Usage
from mmagent.engine.events import Event
from mmagent.engine.result import Result
from mmagent.graph.checked import INPUT, CheckedGraph
from mmagent.graph.yaml import dump
from mmagent.media import Media
from mmagent.trace.data import Candidate, Edge, Node, Part, Route, Step, Trace, Wire
from mmagent.trace.transcript import handle, transcribe


@dataclass(frozen=True, slots=True)
class Served:
    """One signal with what became of it; `at` is in seconds since the step began, `graph` what was spliced in.

    Without a graph, `reason` says why nothing may serve it.
    """

    signal: Signal
    at: float
    wire: Wire | None = None
    path: tuple[str, ...] = ()
    reason: str = ""
    candidates: tuple[Candidate, ...] = ()
    graph: CheckedGraph | None = None
    inputs: Mapping[str, Media] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StepRun:
    """One step that has run: its graph, result, and its signals by place. `offset` is when it began in the turn."""

    graph: CheckedGraph
    result: Result
    served: Mapping[int, Served]
    offset: float
    first_token: float | None = None
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """A part of the reply as it came out: its medium or error, the step and place it comes from, and when it was said."""

    modality: str
    medium: Media | None
    error: str
    step: int
    place: int
    at: float


def record(
    model: str,
    policy: Policy,
    request: Conversation,
    steps: Sequence[StepRun],
    parts: Sequence[Outcome],
    seconds: float,
) -> tuple[Trace, dict[str, Media]]:
    """The trace of a turn, and every medium that it names by digest."""
    from mmagent import __version__

    media = {medium.digest: medium for medium in _media(request, steps, parts)}
    tokens = [step.offset + step.first_token for step in steps if step.first_token is not None]
    times = [_seconds(part, steps) for part in parts]
    sounds = [
        time for part, time in zip(parts, times) if part.medium is not None and part.modality in ("speech", "audio")
    ]
    trace = Trace(
        model=model,
        seed=policy.seed,
        policy={key: list(value) if isinstance(value, tuple) else value for key, value in asdict(policy).items()},
        request=transcribe(request),
        steps=tuple(_step(step) for step in steps),
        parts=tuple(
            Part(place, part.modality, handle(part.medium) if part.medium else None, part.error, time, part.step)
            for place, (part, time) in enumerate(zip(parts, times))
        ),
        media={digest: {"modality": medium.modality, **medium.describe()} for digest, medium in media.items()},
        seconds=seconds,
        first_token=min(tokens, default=None),
        first_audio=min(sounds, default=None),
        version=__version__,
    )
    return trace, media


def _step(step: StepRun) -> Step:
    graphs: list[tuple[int | None, CheckedGraph]] = [(None, step.graph)]
    graphs += [(place, served.graph) for place, served in step.served.items() if served.graph]
    return Step(
        nodes=tuple(node for place, graph in graphs for node in _nodes(graph, place)),
        edges=tuple(edge for place, graph in graphs for edge in _edges(graph, place)),
        calls=tuple(replace(call, started=call.started + step.offset) for call in step.result.calls),
        routes=tuple(_route(place, served, step.offset) for place, served in step.served.items()),
        spec=dump(step.graph.spec),
        usage=step.usage,
    )


def _name(node: str, place: int | None) -> str:
    """A node's name in the whole graph that ran; a spliced one's carries its place, as in its calls."""
    return node if place is None else f"{place}/{node}"


def _nodes(graph: CheckedGraph, place: int | None) -> Iterator[Node]:
    for node in graph.nodes:
        yield Node(_name(node.name, place), node.card.name, node.card.kind, node.inserted, place)


def _edges(graph: CheckedGraph, place: int | None) -> Iterator[Edge]:
    for node in graph.nodes:
        for edge in node.edges:
            for origin in edge.origins:
                if origin.node != INPUT:
                    source = _name(origin.node, place)
                else:
                    source = origin.port if place is None else "answer"
                yield Edge(source, _name(node.name, place), edge.port.name, edge.port.modality)


def _route(place: int, served: Served, offset: float) -> Route:
    signal = served.signal
    return Route(
        place, signal.modality, signal.caption, served.wire, served.path, served.reason, served.candidates,
        tuple(handle(ref) for ref in signal.refs), handle(signal.states) if signal.states else None, offset + served.at,
    )  # fmt: skip


def _ended(events: Sequence[Event]) -> Iterator[tuple[float, Media]]:
    for event in events:
        if event.kind in ("finished", "cached"):
            for value in (event.data or {}).values():
                for medium in value if isinstance(value, list) else [value]:
                    if medium is not None:
                        yield event.time, medium


def _seconds(part: Outcome, steps: Sequence[StepRun]) -> float:
    """When a part was there: its words when they were said, its medium when its subgraph gave it."""
    step = steps[part.step]
    if part.medium is not None and part.place in step.served:
        for time, medium in _ended(step.result.events):
            if medium is part.medium or medium.digest == part.medium.digest:
                return step.offset + time
    return step.offset + part.at


def _media(request: Conversation, steps: Sequence[StepRun], parts: Sequence[Outcome]) -> Iterator[Media]:
    yield request
    yield from request.media
    for step in steps:
        yield from (medium for _, medium in _ended(step.result.events))
        for served in step.served.values():
            yield from served.signal.refs
            yield from served.inputs.values()
            if served.signal.states is not None:
                yield served.signal.states
    yield from (part.medium for part in parts if part.medium is not None)
