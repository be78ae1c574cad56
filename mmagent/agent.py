"""The agent: a conversation, a model, tools and a policy. Each turn is a graph that the engine runs.

It knows no model and no tool by itself; what it does with a request is decided by the model's signals and
the router.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mmagent.conversation import Conversation, Policy, message
from mmagent.engine.events import Event
from mmagent.engine.graph import Graph
from mmagent.engine.run import Engine, default_engine
from mmagent.errors import ConversationError
from mmagent.forecast import Forecast, forecast
from mmagent.graph.checked import CheckedGraph
from mmagent.graph.join import join_graph
from mmagent.graph.library import Library
from mmagent.media import Media
from mmagent.model import as_reasoner
from mmagent.replay import changed
from mmagent.reply import Reply
from mmagent.router import Choice
from mmagent.step import with_own_tools
from mmagent.tool import ToolType
from mmagent.turn import Turn

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from mmagent.model.reasoner import Reasoner
    from mmagent.trace import Trace

    Part = str | Media


@dataclass(frozen=True, slots=True)
class TurnPlan:
    """What a request would take, without running it: the graph, the way to each modality or why there is none."""

    graph: CheckedGraph
    makes: Mapping[str, Choice]
    refused: Mapping[str, str]
    forecast: Forecast


class Agent:
    """A multimodal assistant. Call it with strings and media; it remembers the conversation.

    `model` is a model's name (`pocket`), its folder, a Reasoner, or a LangChain chat model. `tools` join those of the shelves. `policy`
    is the default of each request. `look_again` bounds how often in one turn the model may go on after looking at
    what it made (0: never).
    """

    def __init__(
        self,
        model: str | Reasoner | BaseChatModel = "pocket",
        *,
        tools: Sequence[ToolType | Graph] = (),
        policy: Policy | None = None,
        engine: Engine | None = None,
        system: str = "",
        look_again: int = 0,
    ) -> None:
        self._reasoner: Reasoner | None = None
        if not isinstance(model, str):
            self._reasoner = model = as_reasoner(model)
        self.model = model if isinstance(model, str) else model.name
        self.policy = policy or Policy()
        self.look_again = look_again
        self.library = Library().extended()
        self.add(*tools)
        self._engine = engine
        self._lock = threading.Lock()
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
        with self._lock:
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
        input that no tool can read, a failing converter, a missing library, a policy that forces what cannot be
        made) raises its own error.
        """
        turn = self._turn(parts, policy, seed)
        self._run(turn)
        return self._remember(turn)

    async def arun(self, *parts: Part, policy: Policy | None = None, seed: int | None = None) -> Reply:
        """As calling the agent, without blocking the event loop."""
        turn = self._turn(parts, policy, seed)
        for step in turn:
            turn.done(await self.engine.arun(step.plan, step.inputs, partial=True, seed=turn.policy.seed))
        return self._remember(turn)

    def stream(self, *parts: Part, policy: Policy | None = None, seed: int | None = None) -> ReplyStream:
        """Answer while telling what happens: iterate over the events, then take `.reply`."""
        return ReplyStream(self, self._turn(parts, policy, seed))

    def _turn(self, parts: Sequence[Part], policy: Policy | None, seed: int | None) -> Turn:
        chosen = policy or self.policy
        chosen = chosen if seed is None else replace(chosen, seed=seed)
        return Turn(self.reasoner, self.library, self.conversation, parts, chosen, self.look_again)

    def _run(self, turn: Turn) -> None:
        for step in turn:
            turn.done(self.engine.run(step.plan, step.inputs, partial=True, seed=turn.policy.seed))

    def _remember(self, turn: Turn) -> Reply:
        """The turn's reply; what it adds goes behind what other turns have added meanwhile."""
        with self._lock:
            self.conversation = self.conversation.then(*turn.messages)
        return turn.reply(self)

    # -- looking ahead and back

    def plan(self, *parts: Part, policy: Policy | None = None) -> TurnPlan:
        """What answering would take: the graph, the ways to every modality, downloads, memory and seconds.

        What the policy forces is counted in. ConversationError if it forces what cannot be made.
        """
        turn = self._turn(parts, policy, None)
        step = turn.compile()
        cards = [node.card for node in step.plan.checked.nodes]
        forced = [name for modality in turn.policy.force for name in step.makes[modality].path]
        library = with_own_tools(self.library, self.reasoner)
        projectors = {card.name: card for card in self.reasoner.projectors}
        cards += [projectors.get(name) or library.card(name) for name in forced]
        return TurnPlan(step.plan.checked, step.makes, step.refused, forecast(cards, memory=self.reasoner.memory))

    def replay(self, trace: Trace, media: Mapping[str, Media], change: Mapping[str, Any]) -> Reply:
        """A traced turn again under `change` (see `Reply.replay`); the agent's memory stays as it is."""
        again = changed(trace, media, change, self.library)
        reasoner = self.reasoner if again.model is None else Agent(again.model).reasoner
        turn = Turn(reasoner, self.library, again.history, again.parts, again.policy, self.look_again, again.swaps)
        self._run(turn)
        return turn.reply(self)


class ReplyStream:
    """The events of a turn, one after another, and at the end its reply. Iterate it, or `async for` over it, once."""

    def __init__(self, agent: Agent, turn: Turn) -> None:
        self._agent, self._turn = agent, turn
        self._reply: Reply | None = None

    def __iter__(self) -> Iterator[Event]:
        for step in self._turn if self._reply is None else ():
            stream = self._agent.engine.stream(step.plan, step.inputs, partial=True, seed=self._turn.policy.seed)
            yield from stream
            self._turn.done(stream.result)
        self._reply = self._reply or self._agent._remember(self._turn)

    async def __aiter__(self) -> AsyncIterator[Event]:
        for step in self._turn if self._reply is None else ():
            stream = self._agent.engine.astream(step.plan, step.inputs, partial=True, seed=self._turn.policy.seed)
            async for event in stream:
                yield event
            self._turn.done(stream.result)
        self._reply = self._reply or self._agent._remember(self._turn)

    @property
    def reply(self) -> Reply:
        """The reply, once every event has been taken."""
        if self._reply is None:
            raise ConversationError("the reply is not complete; take all events of the stream first")
        return self._reply
