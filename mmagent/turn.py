"""A turn as a graph: what converts the media a reasoner cannot see, the reasoner, and what its signals call for.

It knows reasoners by their contract; it holds no memory and runs nothing itself.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mmagent.card import Card, Port, Scalar
from mmagent.conversation import Conversation, MediaSegment, Policy, Signal, TextDelta
from mmagent.engine.plan import Plan, compile
from mmagent.errors import GraphError, RouteError
from mmagent.graph.library import Library
from mmagent.graph.routes import routes
from mmagent.graph.spec import GraphSpec, NodeSpec
from mmagent.media import Media, Text
from mmagent.model.reasoner import Reasoner
from mmagent.router import Routed, chain, makeable, port_of, route
from mmagent.tool import Context, FunctionTool, tool
from mmagent.trace.record import Served

Swaps = Mapping[str, "str | Mapping[str, Scalar]"]
"""Replacements by tool name: another tool, or settings for this one."""

DETECTOR = "speech-detector"


@dataclass(frozen=True, slots=True)
class Words:
    """A run of words in the answer; `at` is when it was complete, in seconds since the pass began."""

    text: str
    at: float


@dataclass
class Answer:
    """What a reasoner said in one pass, in order: words, and signals with what became of them."""

    said: list[Words | Served] = field(default_factory=list)
    first_token: float | None = None
    began: float = field(default_factory=time.perf_counter)

    def now(self) -> float:
        """Seconds since the pass began."""
        return time.perf_counter() - self.began

    def close(self, words: list[str]) -> None:
        """End a run of words."""
        text = "".join(words).strip()
        if text:
            self.said.append(Words(text, self.now()))
        words.clear()


@dataclass(frozen=True, slots=True)
class Turn:
    """A pass ready to run: its plan, the media that go in, and where the answer is noted down."""

    plan: Plan
    inputs: Mapping[str, Media]
    answer: Answer
    makes: Mapping[str, Routed]


@tool(name="in-words.v1", inline=True)
def in_words(media: Media, texts: list[Text] | None = None) -> Text:
    """What converters made of a medium, or its plain facts where there is no converter."""
    found = " ".join(text.text for text in texts or () if text.text.strip())
    facts = ", ".join(f"{key} {value}" for key, value in media.describe().items())
    return Text(found or f"{media.modality} that no tool can put into words ({facts})")


@tool(name="compose.v1", inline=True)
def compose(conversation: Conversation, words: list[Text]) -> Conversation:
    """The conversation with words at the media that the reasoner cannot see."""
    return conversation.with_words([text.text for text in words])


def compile_turn(
    conversation: Conversation, reasoner: Reasoner, policy: Policy, library: Library, swaps: Swaps | None = None
) -> Turn:
    """The graph of one pass over `conversation`: converters, then the reasoner, whose signals are routed and spliced.

    GraphError if a tool that was swapped in does not fit.
    """
    cards = callable_cards(library)
    unseen = [
        item.media
        for item in _segments(conversation)
        if item.words is None and item.media.modality not in reasoner.sees
    ]
    inputs: dict[str, Media] = {"conversation": conversation}
    nodes: dict[str, NodeSpec] = {}
    for number, medium in enumerate(unseen, 1):
        inputs[f"input-{number}"] = medium
        nodes |= _to_words(number, medium, cards)
    words = tuple(f"words-{number}" for number in range(1, len(unseen) + 1))
    if words:
        nodes["compose"] = NodeSpec("compose.v1", {"conversation": "conversation", "words": words})
    nodes["answer"] = NodeSpec("answer.v1", {"conversation": "compose" if words else "conversation"})
    graph = GraphSpec(
        name="turn",
        inputs={name: port_of(name, value) for name, value in inputs.items()},
        nodes=nodes,
        outputs={"text": "answer.text"} | ({"conversation": "compose.conversation"} if words else {}),
        lossy=policy.lossy,
    )
    made = makeable([name for name in reasoner.makes if policy.limit(name) > 0], _refs(conversation), policy, cards)
    known = library.extended(in_words, compose)
    router = _Router(policy, cards, reasoner.projectors, swaps or {}, known)
    answer = Answer()
    offers = {name: _offer(way, cards) or name for name, way in made.items()}
    known.registry.add(_answer(reasoner, policy, router, offers, answer))
    plan = compile(known.checked(swapped(graph, swaps or {})), known.registry)
    return Turn(plan, inputs, answer, made)


def callable_cards(library: Library) -> list[Card]:
    """The cards of every tool, and of the graphs that were added as tools."""
    return [*library.registry.cards(), *(library.card(graph.name) for graph in library.added)]


@dataclass(frozen=True, slots=True)
class _Router:
    """What routing a signal of this turn takes, beside the signal."""

    policy: Policy
    cards: Sequence[Card]
    projectors: Sequence[Card]
    swaps: Swaps
    library: Library

    def serve(self, signal: Signal, place: int, at: float, ctx: Context) -> Served:
        """Route a signal and splice its subgraph in; a signal that cannot be served says why."""
        try:
            routed = route(signal, self.policy, self.cards, self.projectors)
            graph = self.library.checked(swapped(routed.graph, self.swaps))
        except (RouteError, GraphError) as error:
            return Served(signal, at, reason=str(error))
        ctx.splice(compile(graph, self.library.registry), routed.inputs, str(place))
        return Served(signal, at, routed.wire, routed.path, routed.reason, routed.candidates, graph, routed.inputs)


def swapped(graph: GraphSpec, swaps: Swaps) -> GraphSpec:
    """The graph with tools and settings replaced by tool name."""

    def change(node: NodeSpec) -> NodeSpec:
        for name in (node.tool, node.tool.rsplit(".v", 1)[0]):
            new = swaps.get(name)
            if isinstance(new, str):
                return replace(node, tool=new)
            if new is not None:
                return replace(node, settings={**node.settings, **new})
        return node

    return replace(graph, nodes={name: change(node) for name, node in graph.nodes.items()})


def _segments(conversation: Conversation) -> Iterator[MediaSegment]:
    return (item for said in conversation for item in said.segments if isinstance(item, MediaSegment))


def _refs(conversation: Conversation) -> tuple[Media, ...]:
    """The media that a reply may be about: the latest first."""
    return tuple(reversed(conversation.media))


def _to_words(number: int, medium: Media, cards: Sequence[Card]) -> dict[str, NodeSpec]:
    """The nodes that put medium `number` into words. Undeclared audio first passes a visible detector of speech."""
    source: str = f"input-{number}"
    start: Port | str = port_of(source, medium)
    nodes: dict[str, NodeSpec] = {}
    if medium.modality == "audio" and any(card.short == DETECTOR for card in cards):
        nodes[f"hear-{number}"] = NodeSpec(DETECTOR, {"audio": source})
        source, start = f"hear-{number}.speech", "speech"
    found = next(iter(routes(cards, start, "text", each=True)), None)
    feeds: dict[str, str] = {"media": f"input-{number}"}
    if found is not None:
        more, feeds["texts"] = chain(found.hops, {found.hops[0].input: source}, f"-{number}")
        nodes |= more
    nodes[f"words-{number}"] = NodeSpec("in-words.v1", feeds)
    return nodes


def _answer(
    reasoner: Reasoner, policy: Policy, router: _Router, offers: Mapping[str, str], answer: Answer
) -> FunctionTool[Any, Any]:
    """The turn's reasoner as a tool: it speaks, and splices in a subgraph for each signal as it is complete."""

    @tool(name="answer.v1", kind="reasoner", cacheable=False, cost=reasoner.cost, needs=reasoner.needs)
    def speak(conversation: Conversation, ctx: Context) -> Text:
        """The model's answer; what it asks for is made beside it."""
        words: list[str] = []
        for said in reasoner.speak(conversation, policy, offers, ctx):
            if isinstance(said, TextDelta):
                answer.first_token = answer.first_token or answer.now()
                words.append(said.text)
                ctx.token(said.text)
                continue
            answer.close(words)
            if isinstance(said, Signal):
                signal = said if said.refs else replace(said, refs=_refs(conversation))
                answer.said.append(router.serve(signal, len(answer.said), answer.now(), ctx))
        answer.close(words)
        return Text("\n".join(item.text for item in answer.said if isinstance(item, Words)))

    return speak


def _offer(way: Routed, cards: Sequence[Card]) -> str:
    return next((card.doc for card in cards if card.name == way.path[-1]), "")
