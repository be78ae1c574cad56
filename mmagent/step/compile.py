"""A step as a graph: what converts the media a reasoner cannot see, the reasoner, and what its signals call for.

It knows reasoners by their contract; it holds no memory and runs nothing itself.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mmagent.card import Card, Port, Scalar
from mmagent.conversation import Conversation, MediaSegment, Policy, Signal, TextDelta, Usage
from mmagent.engine.plan import Plan, compile
from mmagent.errors import ConversationError, GraphError, RouteError
from mmagent.graph.library import Library
from mmagent.graph.routes import routes
from mmagent.graph.single import port_of
from mmagent.graph.spec import GraphSpec, NodeSpec
from mmagent.media import Media, Text
from mmagent.model.reasoner import Reasoner, Wired
from mmagent.router import Choice, chain, choose, route
from mmagent.step.sight import composer, seen_port, sight
from mmagent.tool import Context, FunctionTool, tool
from mmagent.trace import Candidate
from mmagent.trace.record import Served

Swaps = Mapping[str, "str | Mapping[str, Scalar]"]
"""Replacements by tool name: another tool, or settings for this one."""


@dataclass(frozen=True, slots=True)
class Words:
    """A run of words in the answer; `at` is when it was complete, in seconds since the step began."""

    text: str
    at: float


@dataclass
class Answer:
    """What a reasoner said in one step, in order: words, and signals with what became of them; and what it took."""

    said: list[Words | Served] = field(default_factory=list)
    first_token: float | None = None
    usage: Usage | None = None
    began: float = field(default_factory=time.perf_counter)

    def now(self) -> float:
        """Seconds since the step began."""
        return time.perf_counter() - self.began

    def close(self, words: list[str]) -> None:
        """End a run of words."""
        text = "".join(words).strip()
        if text:
            self.said.append(Words(text, self.now()))
        words.clear()


@dataclass(frozen=True, slots=True)
class CompiledStep:
    """A step ready to run: its plan, the media that go in, where the answer is noted down, and what can be made."""

    plan: Plan
    inputs: Mapping[str, Media]
    answer: Answer
    makes: Mapping[str, Choice]
    refused: Mapping[str, str]


@tool(name="turn-words.v1", inline=True)
def in_words(media: Media, texts: list[Text] | None = None) -> Text:
    """What converters made of a medium, or its plain facts where there is no converter."""
    found = " ".join(text.text for text in texts or () if text.text.strip())
    facts = ", ".join(f"{key} {value}" for key, value in media.describe().items())
    return Text(found or f"{media.modality} that no tool can put into words ({facts})")


def compile_step(
    conversation: Conversation, reasoner: Reasoner, policy: Policy, library: Library, swaps: Swaps | None = None
) -> CompiledStep:
    """The graph of one step over `conversation`: converters, then the reasoner, whose signals are routed and spliced.

    ConversationError if the policy forces what cannot be made; GraphError if a tool that was swapped in does not
    fit, or the encoder of something shown is not here.
    """
    library = with_own_tools(library, reasoner)
    cards = callable_cards(library)
    unread = list(_unread(conversation, reasoner))
    eyes = sight(reasoner, library, {medium.modality for medium in unread})
    inputs: dict[str, Media] = {"conversation": conversation}
    nodes: dict[str, NodeSpec] = {}
    feeds: dict[str, list[str]] = {}
    for number, medium in enumerate(unread, 1):
        inputs[f"input-{number}"] = medium
        eye = eyes.get(medium.modality)
        nodes |= eye.nodes(number) if eye else _to_words(number, medium, cards)
        port, source = (seen_port(medium.modality), eye.source(number)) if eye else ("words", f"words-{number}")
        feeds.setdefault(port, []).append(source)
    compose = composer(eyes)
    if nodes:
        told = {port: tuple(sources) for port, sources in feeds.items()}
        nodes["compose"] = NodeSpec(compose.card.name, {"conversation": "conversation", **told})
    nodes["answer"] = NodeSpec("turn-answer.v1", {"conversation": "compose" if "compose" in nodes else "conversation"})
    graph = GraphSpec(
        name="turn",
        inputs={name: port_of(name, value) for name, value in inputs.items()},
        nodes=nodes,
        outputs={"text": "answer.text"} | ({"conversation": "compose.conversation"} if "compose" in nodes else {}),
        lossy=policy.lossy,
    )
    makes, refused = _choices(conversation, reasoner, policy, cards)
    answer = Answer()
    router = _Router(policy, cards, reasoner.projectors, swaps or {}, library)
    offers = {name: _offer(choice, cards) or name for name, choice in makes.items()}
    own = library.extended(in_words, compose, _answer(reasoner, policy, router, offers, answer))
    plan = compile(own.checked(swapped(graph, swaps or {})), own.registry)
    return CompiledStep(plan, inputs, answer, makes, refused)


def _choices(
    conversation: Conversation, reasoner: Reasoner, policy: Policy, cards: Sequence[Card]
) -> tuple[dict[str, Choice], dict[str, str]]:
    """The way to each modality that the reasoner can ask for, or why there is none; forced ones must have a way."""
    makes: dict[str, Choice] = {}
    refused: dict[str, str] = {}
    for name in dict.fromkeys([*reasoner.makes, *policy.force]):
        if name not in reasoner.makes:
            refused[name] = (
                f"{reasoner.name} cannot ask for {name}; it asks for {', '.join(reasoner.makes) or 'nothing'}"
            )
            continue
        try:
            makes[name] = choose(Signal(name, "", refs=refs(conversation)), policy, cards, reasoner.projectors)
        except RouteError as error:
            refused[name] = str(error)
    for name in policy.force:
        if name in refused:
            raise ConversationError(f"the policy forces {name}: {refused[name]}")
    return makes, refused


def with_own_tools(library: Library, reasoner: Reasoner) -> Library:
    """The library with the tools that a reasoner brings: its projectors, and generators under its own settings."""
    return library.extended(*reasoner.tools) if isinstance(reasoner, Wired) else library


def callable_cards(library: Library) -> list[Card]:
    """The cards of every tool, and of the graphs that were added as tools."""
    return [*library.registry.cards(), *(library.card(graph.name) for graph in library.added)]


@dataclass(frozen=True, slots=True)
class _Router:
    """What routing a signal of this step takes, beside the signal."""

    policy: Policy
    cards: Sequence[Card]
    projectors: Sequence[Card]
    swaps: Swaps
    library: Library

    def serve(self, signal: Signal, place: int, at: float, ctx: Context) -> Served:
        """Route a signal and splice its subgraph in; a signal that cannot be served says why."""
        try:
            routed = route(signal, self.policy, self.cards, self.projectors)
        except RouteError as error:
            refused = tuple(item for item in error.candidates if isinstance(item, Candidate))
            return Served(signal, at, reason=str(error), candidates=refused)
        choice = routed.choice
        try:
            graph = self.library.checked(swapped(routed.graph, self.swaps))
        except GraphError as error:
            return Served(signal, at, choice.wire, choice.path, str(error), choice.candidates)
        ctx.splice(compile(graph, self.library.registry), routed.inputs, str(place))
        return Served(signal, at, choice.wire, choice.path, choice.reason, choice.candidates, graph, routed.inputs)


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


def _unread(conversation: Conversation, reasoner: Reasoner) -> Iterator[Media]:
    """The media that the reasoner can read neither as they are nor by what was made of them before."""
    encoded = reasoner.encoders if isinstance(reasoner, Wired) else {}
    for item in (item for said in conversation for item in said.segments):
        if isinstance(item, MediaSegment) and item.bare:
            modality = item.media.modality
            if modality in encoded or modality not in reasoner.sees:
                yield item.media


def refs(conversation: Conversation, first: Sequence[Media] = ()) -> tuple[Media, ...]:
    """The media that a signal may be about: `first` what it refers to itself, then the latest of the conversation."""
    return tuple(dict.fromkeys([*first, *reversed(conversation.media)]))


def _to_words(number: int, medium: Media, cards: Sequence[Card]) -> dict[str, NodeSpec]:
    """The nodes that put medium `number` into words. Undeclared audio first passes a visible detector of speech."""
    source: str = f"input-{number}"
    start: Port | str = port_of(source, medium)
    nodes: dict[str, NodeSpec] = {}
    heard = _detector(cards) if medium.modality == "audio" else None
    if heard is not None:
        card, speech = heard
        nodes[f"hear-{number}"] = NodeSpec(card.name, {card.inputs[0].name: source})
        source, start = f"hear-{number}.{speech}", "speech"
    found = next(iter(routes(cards, start, "text", each=True)), None)
    feeds: dict[str, str] = {"media": f"input-{number}"}
    if found is not None:
        more, feeds["texts"] = chain(found.hops, {found.hops[0].input: source}, f"-{number}")
        nodes |= more
    nodes[f"words-{number}"] = NodeSpec(in_words.card.name, feeds)
    return nodes


def _detector(cards: Sequence[Card]) -> tuple[Card, str] | None:
    """The cheapest tool that tells speech from other sound, with its output for speech, if there is one."""
    found = [
        (card, port.name)
        for card in cards
        for port in card.outputs
        if [item.modality for item in card.inputs] == ["audio"] and port.modality == "speech" and port.optional
    ]
    return min(found, key=lambda item: (item[0].cost, item[0].name), default=None)


def _answer(
    reasoner: Reasoner, policy: Policy, router: _Router, offers: Mapping[str, str], answer: Answer
) -> FunctionTool[Any, Any]:
    """The step's reasoner as a tool: it speaks, and splices in a subgraph for each signal as it is complete."""

    @tool(name="turn-answer.v1", kind="reasoner", cacheable=False, cost=reasoner.cost, needs=reasoner.needs)
    def speak(conversation: Conversation, ctx: Context) -> Text:
        """The model's answer; what it asks for is made beside it."""
        words: list[str] = []
        for said in reasoner.speak(conversation, policy, offers, ctx):
            if isinstance(said, TextDelta):
                answer.first_token = answer.first_token or answer.now()
                words.append(said.text)
                ctx.token(said.text)
                continue
            if isinstance(said, Usage):
                answer.usage = said
                continue
            answer.close(words)
            if isinstance(said, Signal):
                signal = replace(said, refs=refs(conversation, said.refs))
                answer.said.append(router.serve(signal, len(answer.said), answer.now(), ctx))
        answer.close(words)
        return Text("\n".join(item.text for item in answer.said if isinstance(item, Words)))

    return speak


def _offer(choice: Choice, cards: Sequence[Card]) -> str:
    return next((card.doc for card in cards if card.name == choice.path[-1]), "")
