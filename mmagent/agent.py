"""The agent: a conversation, a model, tools and a policy. Each turn is a graph that the engine runs.

It knows no model and no tool by itself; what it does with a request is decided by the model's signals and
the router.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mmagent.conversation import Conversation, MediaSegment, Message, Policy, Signal, SpanSegment, TextSegment, message
from mmagent.engine.events import Event
from mmagent.engine.graph import Graph
from mmagent.engine.result import Result
from mmagent.engine.run import Engine, default_engine
from mmagent.errors import ConversationError, RouteError
from mmagent.forecast import Forecast, forecast
from mmagent.graph.checked import CheckedGraph
from mmagent.graph.join import join_graph
from mmagent.graph.library import Library
from mmagent.media import Media, Text
from mmagent.reply import PartError, Reply, changed_request
from mmagent.router import Routed, route
from mmagent.tool import ToolType
from mmagent.trace.record import Outcome, Served, StepRun, record
from mmagent.trace.transcript import restore
from mmagent.turn import Swaps, Turn, Words, callable_cards, compile_turn

if TYPE_CHECKING:
    from mmagent.model.reasoner import Reasoner
    from mmagent.trace import Trace

    Part = str | Media


@dataclass(frozen=True, slots=True)
class TurnPlan:
    """What a request would take, without running it: the graph, the way to each modality or why there is none."""

    graph: CheckedGraph
    makes: Mapping[str, Routed]
    refused: Mapping[str, str]
    forecast: Forecast


class Agent:
    """A multimodal assistant. Call it with strings and media; it remembers the conversation.

    `model` is a model's name (`pocket`), its folder, or a Reasoner. `tools` join those of the shelves. `policy`
    is the default of each request. `look_again` bounds how often in one turn the model may go on after looking at
    what it made (0: never).
    """

    def __init__(
        self,
        model: str | Reasoner = "pocket",
        *,
        tools: Sequence[ToolType | Graph] = (),
        policy: Policy | None = None,
        engine: Engine | None = None,
        system: str = "",
        look_again: int = 0,
    ) -> None:
        self.model = model if isinstance(model, str) else model.name
        self.policy = policy or Policy()
        self.look_again = look_again
        self.library = Library().extended()
        self.add(*tools)
        self._reasoner = None if isinstance(model, str) else model
        self._engine = engine
        self._start = Conversation((message("system", system),) if system else ())
        self.conversation = self._start

    def __repr__(self) -> str:
        return f"Agent({self.model!r})"

    def add(self, *tools: ToolType | Graph) -> None:
        """Give the agent more tools, or graphs as tools; the router may use them from the next request on.

        One of the same name is replaced. A graph brings the tools made in Python that it names; CardError if the
        agent has others of their names, which would change what those mean elsewhere.
        """
        for item in tools:
            if isinstance(item, Graph):
                join_graph(self.library, item, replace=True)
            else:
                self.library.registry.add(item)

    def forget(self) -> None:
        """Begin a new conversation."""
        self.conversation = self._start

    @property
    def reasoner(self) -> Reasoner:
        """The model, found by name when it is first needed; UnknownName lists the models there are."""
        if self._reasoner is None:
            from mmagent.model import load_model

            self._reasoner = load_model(self.model)
        return self._reasoner

    @property
    def engine(self) -> Engine:
        """The engine that runs the turns."""
        return self._engine or default_engine()

    # -- asking

    def __call__(self, *parts: Part, policy: Policy | None = None, seed: int | None = None) -> Reply:
        """Answer a request made of strings and media.

        A part that cannot be made is a `PartError` in its place. What keeps the model from answering at all (an
        input that no tool can read, a failing converter, a missing library) raises its own error.
        """
        turn = _Run(self, parts, self._policy(policy, seed))
        while (step := turn.next()) is not None:
            turn.done(self.engine.run(step.plan, step.inputs, partial=True, seed=turn.policy.seed))
        return turn.reply()

    async def arun(self, *parts: Part, policy: Policy | None = None, seed: int | None = None) -> Reply:
        """As calling the agent, without blocking the event loop."""
        turn = _Run(self, parts, self._policy(policy, seed))
        while (step := turn.next()) is not None:
            turn.done(await self.engine.arun(step.plan, step.inputs, partial=True, seed=turn.policy.seed))
        return turn.reply()

    def stream(self, *parts: Part, policy: Policy | None = None, seed: int | None = None) -> ReplyStream:
        """Answer while telling what happens: iterate over the events, then take `.reply`."""
        return ReplyStream(_Run(self, parts, self._policy(policy, seed)))

    def _policy(self, policy: Policy | None, seed: int | None) -> Policy:
        chosen = policy or self.policy
        return chosen if seed is None else replace(chosen, seed=seed)

    # -- looking ahead and back

    def plan(self, *parts: Part, policy: Policy | None = None) -> TurnPlan:
        """What answering would take: the graph, the ways to every modality, downloads, memory and seconds."""
        chosen = self._policy(policy, None)
        turn = _Run(self, parts, chosen)
        step = turn.compile()
        refused = {}
        for modality in self.reasoner.makes:
            if modality not in step.makes:
                refused[modality] = _why_not(modality, turn.conversation.media, chosen, self.library)
        cards = [node.card for node in step.plan.checked.nodes]
        return TurnPlan(step.plan.checked, step.makes, refused, forecast(cards, memory=self.reasoner.memory))

    def replay(self, trace: Trace, media: Mapping[str, Media], change: Mapping[str, Any]) -> Reply:
        """A traced turn again under `change` (see `Reply.replay`); the agent's memory stays as it is."""
        rest = dict(change)
        before = restore(trace.request, media)
        *history, last = before.messages
        asked = {key: rest.pop(key) for key in list(rest) if key == "text" or key.startswith("input-")}
        parts = changed_request(_parts(last), asked)
        policy = rest.pop("policy", None) or Policy(**_fields(trace.policy))
        policy = replace(policy, seed=rest.pop("seed", policy.seed))
        model = rest.pop("model", None)
        for name in rest:  # UnknownName before anything runs
            self.library.find(name)
        other = Agent(
            model or self._reasoner or self.model, policy=policy, engine=self._engine, look_again=self.look_again
        )
        other.library = self.library
        other.conversation = Conversation(history)
        turn = _Run(other, parts, policy, swaps=rest)
        while (step := turn.next()) is not None:
            turn.done(self.engine.run(step.plan, step.inputs, partial=True, seed=policy.seed))
        return turn.reply()


class ReplyStream:
    """The events of a turn, one after another, and at the end its reply. Iterate it, or `async for` over it."""

    def __init__(self, turn: _Run) -> None:
        self._turn = turn
        self._reply: Reply | None = None

    def __iter__(self) -> Iterator[Event]:
        turn = self._turn
        while (step := turn.next()) is not None:
            stream = turn.agent.engine.stream(step.plan, step.inputs, partial=True, seed=turn.policy.seed)
            yield from stream
            turn.done(stream.result)
        self._reply = turn.reply()

    async def __aiter__(self) -> AsyncIterator[Event]:
        turn = self._turn
        while (step := turn.next()) is not None:
            stream = turn.agent.engine.astream(step.plan, step.inputs, partial=True, seed=turn.policy.seed)
            async for event in stream:
                yield event
            turn.done(stream.result)
        self._reply = turn.reply()

    @property
    def reply(self) -> Reply:
        """The reply, once every event has been taken."""
        if self._reply is None:
            raise ConversationError("the reply is not complete; take all events of the stream first")
        return self._reply


class _Run:
    """One turn on its way: it hands out passes to run, takes their results, and ends as a reply."""

    def __init__(self, agent: Agent, parts: Sequence[Part], policy: Policy, swaps: Swaps | None = None) -> None:
        if not parts:
            raise ConversationError("nothing was asked; give the agent a string or media")
        self.agent, self.policy, self.swaps = agent, policy, swaps or {}
        self.request = self.conversation = agent.conversation.then(message("user", *parts))
        self.began = time.perf_counter()
        self.steps: list[StepRun] = []
        self.parts: list[Outcome] = []
        self._going: Turn | None = None

    def compile(self) -> Turn:
        """The pass over the conversation as it is now."""
        return compile_turn(self.conversation, self.agent.reasoner, self.policy, self.agent.library, self.swaps)

    def next(self) -> Turn | None:
        """The next pass to run, or None when the turn is complete: it looks again only at what it has just made."""
        if self.steps and (not self.steps[-1].served or len(self.steps) > self.agent.look_again):
            return None
        self._going = self.compile()
        return self._going

    def done(self, result: Result) -> None:
        """Take in what a pass gave; raises the first failure if the model could not answer."""
        if self._going is None:
            raise RuntimeError("done() follows next()")
        if result.outputs.get("text") is None:
            result.raise_failure()
        answer = self._going.answer
        served = {place: item for place, item in enumerate(answer.said) if isinstance(item, Served)}
        outcomes = [
            _made(item, place, len(self.steps), result)
            if isinstance(item, Served)
            else Outcome("text", Text(item.text), "", len(self.steps), place, item.at)
            for place, item in enumerate(answer.said)
        ]
        self.steps.append(
            StepRun(self._going.plan.checked, result, served, answer.began - self.began, answer.first_token)
        )
        self.parts += outcomes
        shown = result.outputs.get("conversation")
        before = shown if isinstance(shown, Conversation) else self.conversation
        self.conversation = before.then(Message("assistant", tuple(map(_segment, outcomes, answer.said))))
        made = tuple(
            MediaSegment(outcome.medium) for outcome in outcomes if outcome.modality != "text" and outcome.medium
        )
        if made and len(self.steps) <= self.agent.look_again:
            self.conversation = self.conversation.then(Message("tool", made))

    def reply(self) -> Reply:
        """The reply; the agent remembers the turn."""
        self.agent.conversation = self.conversation
        seconds = time.perf_counter() - self.began
        trace, media = record(self.agent.model, self.policy, self.request, self.steps, self.parts, seconds)
        captions = {
            id(part): self.steps[part.step].served[part.place].signal.caption for part in self.parts if part.error
        }
        parts = (part.medium or PartError(part.modality, captions[id(part)], part.error) for part in self.parts)
        return Reply(tuple(parts), trace, media, self.agent)


def _made(served: Served, place: int, step: int, result: Result) -> Outcome:
    """What came of a signal: the medium that its subgraph made, or why there is none."""
    modality = served.signal.modality
    if served.graph is None:
        return Outcome(modality, None, served.reason, step, place, served.at)
    splice = result.spliced[str(place)]
    found = splice.outputs.get(modality)
    medium = found[0] if isinstance(found, list) and found else found
    if isinstance(medium, Media):
        return Outcome(modality, medium, "", step, place, served.at)
    cause = next((str(error) for error in splice.failures.values()), "its tools made nothing")
    return Outcome(modality, None, cause, step, place, served.at)


def _segment(outcome: Outcome, said: Words | Served) -> TextSegment | SpanSegment:
    if isinstance(said, Words):
        return TextSegment(said.text)
    return SpanSegment(said.signal.modality, said.signal.caption, outcome.medium)


def _why_not(modality: str, refs: Sequence[Media], policy: Policy, library: Library) -> str:
    try:
        route(Signal(modality, "", refs=tuple(reversed(refs))), policy, callable_cards(library))
    except RouteError as error:
        return str(error)
    return ""


def _parts(asked: Message) -> list[Media]:
    return [
        Text(item.text) if isinstance(item, TextSegment) else item.media
        for item in asked.segments
        if isinstance(item, TextSegment | MediaSegment)
    ]


def _fields(saved: Mapping[str, object]) -> dict[str, Any]:
    """A policy's fields as they are written in JSON, lists made tuples again."""
    listed: dict[str, Any] = dict(saved)
    for name in ("force", "forbid"):
        listed[name] = tuple(listed.get(name, ()))
    listed["most"] = tuple((str(name), int(count)) for name, count in listed.get("most", ()))
    return listed
