"""The router: a pure function from a finished signal to the subgraph that serves it.

It sees signals, policy, cards and projectors; it never sees the conversation's text, and it runs nothing. A
projector is a card like any other: an embedding of the model's space in, one of a generator's space out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

from mmagent.card import ANY, Card, Port
from mmagent.conversation import Policy, Signal
from mmagent.errors import RouteError
from mmagent.graph.routes import Step, routes
from mmagent.graph.single import port_of
from mmagent.graph.spec import GraphSpec, NodeSpec
from mmagent.media import Media, Text, fits
from mmagent.trace import Candidate, Wire

CAPTION, STATES = "caption", "states"


@dataclass(frozen=True, slots=True)
class Choice:
    """The way that was chosen for a modality, why, and every candidate that was weighed, the chosen one first."""

    wire: Wire
    path: tuple[str, ...]
    reason: str
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class Routed:
    """A signal's subgraph with its inputs, and how it was chosen."""

    choice: Choice
    graph: GraphSpec
    inputs: Mapping[str, Media]

    @property
    def wire(self) -> Wire:
        """Which conditioning is used."""
        return self.choice.wire

    @property
    def path(self) -> tuple[str, ...]:
        """The tools, in the order in which they run."""
        return self.choice.path

    @property
    def reason(self) -> str:
        """Why this way was chosen."""
        return self.choice.reason

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """Every candidate, the chosen one first."""
        return self.choice.candidates


@dataclass(frozen=True, slots=True)
class _Way:
    """A possible subgraph before it is weighed: `feeds` fill the first step's ports, the rest follow on.

    `refused` says why it cannot be, if it cannot.
    """

    hops: tuple[Step, ...]
    wire: Wire
    rank: int
    feeds: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    refused: str = ""

    @property
    def steps(self) -> tuple[Card, ...]:
        return tuple(hop.card for hop in self.hops)

    @property
    def cost(self) -> float:
        return sum(card.cost for card in self.steps)

    @property
    def lossy(self) -> bool:
        return any(card.lossy for card in self.steps)

    @property
    def path(self) -> tuple[str, ...]:
        return tuple(card.name for card in self.steps)


_WHY = (
    "the signal names it",
    "a projector leads to its space",
    "it takes the caption",
    "it takes what the signal refers to",
    "it starts from the caption and takes several steps",
    "it needs nothing",
)


def route(signal: Signal, policy: Policy, cards: Sequence[Card], projectors: Sequence[Card] = ()) -> Routed:
    """The subgraph that serves `signal`: a pure function of its arguments.

    Candidates in order: a tool that the signal names; a projector from the model's space to a generator's; a
    tool that takes the caption; tools and converters that take the media referred to; several steps from the
    caption; tools that need nothing. Ties go to fewer steps, the lower cost, then to the name. Optional ports
    are left empty. RouteError lists every candidate with the reason why it was refused.
    """
    best, choice = _choose(signal, policy, cards, projectors)
    return Routed(choice, *_build(best, signal, policy))


def choose(signal: Signal, policy: Policy, cards: Sequence[Card], projectors: Sequence[Card] = ()) -> Choice:
    """The way that a signal of that modality would go, before it is written: its states are taken to be there."""
    return _choose(signal, policy, cards, projectors, promised=True)[1]


def _choose(
    signal: Signal, policy: Policy, cards: Sequence[Card], projectors: Sequence[Card], promised: bool = False
) -> tuple[_Way, Choice]:
    if policy.limit(signal.modality) == 0:
        raise RouteError(f"{signal.modality} is forbidden by the policy; allow it to have it made")
    weighed = sorted(
        (_weigh(way, policy) for way in _ways(signal, cards, projectors, promised)),
        key=lambda way: (bool(way.refused), way.rank, len(way.steps), way.cost, way.path),
    )
    if not weighed or weighed[0].refused:
        reasons = "; ".join(f"{' → '.join(way.path)}: {way.refused}" for way in weighed) or "no tool makes it"
        raise RouteError(
            f"nothing can make {signal.modality}: {reasons}; add a tool whose result is {signal.modality}",
            [_candidate(way, False, way.refused) for way in weighed],
        )
    best, *others = weighed
    candidates = [_candidate(best, True, _WHY[best.rank])]
    candidates += [_candidate(way, False, way.refused or _lost(way, best)) for way in others]
    return best, Choice(best.wire, best.path, _WHY[best.rank], tuple(candidates))


def _candidate(way: _Way, accepted: bool, reason: str) -> Candidate:
    return Candidate(way.path, way.wire, accepted, reason, way.cost, way.lossy)


def _lost(way: _Way, best: _Way) -> str:
    chosen = " → ".join(best.path)
    if way.rank != best.rank:
        return f"{chosen} comes first: {_WHY[best.rank]}"
    if len(way.steps) != len(best.steps):
        return f"{chosen} takes fewer steps"
    return (
        f"{chosen} costs {best.cost:g} s, this {way.cost:g} s"
        if way.cost != best.cost
        else f"{chosen} comes first by name"
    )


def _weigh(way: _Way, policy: Policy) -> _Way:
    refused = way.refused
    if not refused and way.lossy and not policy.lossy:
        refused = "it is lossy, and the policy allows no lossy converters"
    if not refused and way.wire == "embedding" and policy.wire == "text":
        refused = "the policy has everything made from captions"
    if not refused and policy.budget is not None and way.cost > policy.budget:
        refused = f"it is expected to take {way.cost:g} s, over the budget of {policy.budget:g} s"
    return replace(way, refused=refused)


def _ways(signal: Signal, cards: Sequence[Card], projectors: Sequence[Card], promised: bool) -> Iterator[_Way]:
    tools = [form for card in cards if card.kind != "reasoner" for form in card.forms()]
    if signal.tool is not None:
        named = [card for card in tools if signal.tool in (card.name, card.short)]
        yield from (_direct(card, signal, rank=0) for card in named)
    if signal.states is not None or promised:
        yield from _projected(signal, tools, projectors)
    for card in tools:
        if signal.tool not in (card.name, card.short) and _makes(card, signal.modality) is not None:
            yield _direct(card, signal)
    yield from _chains(signal, tools)


def _makes(card: Card, modality: str) -> Port | None:
    """The output of exactly that modality: a refinement has signals of its own."""
    return next((port for port in card.outputs if port.modality == modality and port.variable is None), None)


def _projected(signal: Signal, tools: Sequence[Card], projectors: Sequence[Card]) -> Iterator[_Way]:
    space = signal.states.space if signal.states else None
    for generator in tools:
        wanted = [port for port in generator.inputs if not port.optional]
        if len(wanted) != 1 or wanted[0].modality != "embedding" or _makes(generator, signal.modality) is None:
            continue
        target = wanted[0].constraints.get("space")
        for projector in projectors:
            source, made = projector.inputs[0].constraints.get("space"), projector.outputs[0].constraints.get("space")
            if made == target:
                refused = "" if space in (None, source) else f"its projector takes {source}, the signal is in {space}"
                feeds = {projector.inputs[0].name: (STATES,)}
                hops = _hop(projector, "embedding"), _hop(generator, signal.modality, wanted[0].name)
                yield _Way(hops, "embedding", 1, feeds, refused)


def _direct(card: Card, signal: Signal, rank: int | None = None) -> _Way:
    """One tool with its ports filled from the caption and the refs, or refused because they cannot be."""
    feeds: dict[str, tuple[str, ...]] = {}
    refused, used = "", set[int]()
    caption = False
    if _makes(card, signal.modality) is None:
        refused = f"it makes {', '.join(str(port) for port in card.outputs)}, not {signal.modality}"
    unset = [setting.name for setting in card.settings if setting.required]
    if unset:
        refused = refused or f"setting {', '.join(unset)} has no default"
    for port in (port for port in card.inputs if not port.optional):
        if port.modality == "text":
            if caption:
                refused = refused or "it needs two texts, and there is one caption"
            feeds[port.name], caption = (CAPTION,), True
            continue
        matching = [
            place
            for place, ref in enumerate(signal.refs)
            if place not in used and port.modality != ANY and fits(ref.modality, port.modality)
        ]
        if not matching:
            refused = refused or f"nothing that the signal refers to is {port.modality}"
            continue
        taken = matching if port.many else matching[:1]
        used.update(taken)
        feeds[port.name] = tuple(f"ref-{place + 1}" for place in taken)
    if not caption and any(fits(signal.refs[place].modality, signal.modality) for place in used) and rank is None:
        refused = refused or f"it only changes {signal.modality}, and it is not named"
    wire: Wire = "refs" if used else "text"
    if rank is None:
        rank = 3 if used else 2 if caption else 5
    return _Way((_hop(card, signal.modality),), wire, rank, feeds, refused)


def _hop(card: Card, modality: str, port: str | None = None) -> Step:
    """A tool as a step: entered by `port` (or its first), left by the output of that modality."""
    entry = port or (card.inputs[0].name if card.inputs else "")
    return Step(card, entry, (_makes(card, modality) or card.outputs[0]).name, {})


def _chains(signal: Signal, tools: Sequence[Card]) -> Iterator[_Way]:
    """Ways of two or more steps, from the caption or from one of the refs."""
    starts: list[tuple[str, str, Wire, int]] = [("text", CAPTION, "text", 4)]
    for place, ref in enumerate(signal.refs):
        if not fits(ref.modality, signal.modality) and ref.modality != "text":
            starts.append((ref.modality, f"ref-{place + 1}", "refs", 3))
    for modality, source, wire, rank in starts:
        for found in routes(tools, modality, signal.modality):
            if len(found.hops) > 1 and _straight(found.hops, modality, signal.modality):
                yield _Way(found.hops, wire, rank, {found.hops[0].input: (source,)})


def _straight(hops: Sequence[Step], start: str, end: str) -> bool:
    """Whether a chain ends in exactly that modality, turns nothing back into what it was, and surely makes something."""
    made = [hop.card.output(hop.output) for hop in hops]
    modalities = [start, *(port.modality for port in made if port is not None)]
    back = any(fits(one, other) for place, other in enumerate(modalities) for one in modalities[:place])
    return modalities[-1] == end and not back and not any(port is None or port.optional for port in made)


def _build(way: _Way, signal: Signal, policy: Policy) -> tuple[GraphSpec, dict[str, Media]]:
    """The way as a graph, and the media that go into it."""
    media: dict[str, Media] = {CAPTION: Text(signal.caption)}
    media |= {f"ref-{place}": ref for place, ref in zip(count(1), signal.refs)}
    if signal.states is not None:
        media[STATES] = signal.states
    used = {name: media[name] for names in way.feeds.values() for name in names}
    first = {port: names if len(names) > 1 else names[0] for port, names in way.feeds.items()}
    nodes, source = chain(way.hops, first)
    graph = GraphSpec(
        name=f"make-{signal.modality}",
        inputs={name: port_of(name, value) for name, value in used.items()},
        nodes=nodes,
        outputs={signal.modality: source},
        lossy=policy.lossy,
    )
    return graph, used


def chain(
    hops: Sequence[Step], first: Mapping[str, str | tuple[str, ...]], suffix: str = ""
) -> tuple[dict[str, NodeSpec], str]:
    """The nodes of a chain of tools, named after them, and the source that its result is; `first` feeds the first one."""
    nodes: dict[str, NodeSpec] = {}
    source = ""
    for hop in hops:
        name = f"{hop.card.short}{suffix}"
        name = name if name not in nodes else f"{name}-{len(nodes) + 1}"
        feeds = {hop.input: source} if nodes else first
        nodes[name] = NodeSpec(hop.card.name, feeds, hop.settings, each=hop.input if hop.each else None)
        source = f"{name}.{hop.output}"
    return nodes, source
