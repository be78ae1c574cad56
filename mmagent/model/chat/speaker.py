"""A chat model's replies: what it says, what it asks for, and the requests that mend what was wrong.

A reply takes one request. It takes one more if the model answered nonsense or nothing, or asked for what it may not;
and one for each thing that the policy forces and the model did not ask for. Each time the model is told what was wrong
and goes on from there: what has been said stays said. Calls of others' tools end the reply: those have to answer first.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

from langchain_core.messages import AIMessage, BaseMessage, SystemMessage

from mmagent.conversation import Conversation, Policy, Said, Signal, SpanOpened, SpanSegment, TextDelta, Usage
from mmagent.errors import MMAgentError
from mmagent.model.chat.abilities import chooses_tools, limited
from mmagent.model.chat.asks import Asks, Call
from mmagent.model.chat.errors import AnswerError
from mmagent.model.chat.failures import explained
from mmagent.model.chat.foreign import Foreign
from mmagent.model.chat.hearing import Hearing
from mmagent.model.chat.history import history, numbers, tool_name
from mmagent.model.chat.instructions import instructions
from mmagent.model.chat.mending import Heard, told
from mmagent.model.chat.meter import Meter
from mmagent.model.chat.providers import variable_of
from mmagent.model.chat.redact import secrets_of
from mmagent.model.chat.thoughts import added, beside
from mmagent.tool import Context

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from mmagent.model.chat.spec import PriceSpec


@dataclass(frozen=True, slots=True)
class Speaker:
    """A chat model with all that a reply needs to know of it. It holds no state of any reply."""

    name: str
    model: BaseChatModel
    system: str
    sees: tuple[str, ...]
    tools: Mapping[str, Sequence[str]]
    price: PriceSpec | None
    foreign: Foreign

    def speak(
        self, conversation: Conversation, policy: Policy, modalities: Mapping[str, str], ctx: Context | None
    ) -> Iterator[Said]:
        """Say the reply; see `Reasoner.speak`."""
        if ctx is not None:
            ctx.check()
        if self.foreign.calls:  # in an earlier step of this turn
            yield Usage(0, 0, calls=0)
            return
        spans = (item for said in conversation for item in said.segments if isinstance(item, SpanSegment))
        before = [item.modality for item in spans if tool_name(item.modality) not in self.foreign.names]
        offered = self.foreign.askable(modalities)
        asks = Asks(policy, offered, list(numbers(conversation)), self.tools, before)
        reply = _Reply(self.name, limited(self.model, policy), asks, self.foreign, Meter(self.price), ctx)
        yield from reply.say(self._messages(conversation, asks, policy))

    def _messages(self, conversation: Conversation, asks: Asks, policy: Policy) -> list[BaseMessage]:
        """The conversation, with what the model is told of the house at the end of the system message."""
        head, *rest = history(conversation, self.sees, self.foreign.links)
        own = str(head.content) if isinstance(head, SystemMessage) else self.system
        rest = rest if isinstance(head, SystemMessage) else [head, *rest]
        system = "\n\n".join(filter(None, [own, instructions(asks, policy)]))
        return [SystemMessage(system), *rest] if system else rest


class _Reply:
    """One reply, over all of its requests."""

    def __init__(
        self, name: str, model: BaseChatModel, asks: Asks, foreign: Foreign, meter: Meter, ctx: Context | None
    ) -> None:
        self._name, self._model, self._asks, self._foreign = name, model, asks, foreign
        self._meter, self._ctx, self._calls = meter, ctx, count(1)
        self._place = self._written = 0
        self._in_words = self._apart = False

    def say(self, messages: Sequence[BaseMessage]) -> Iterator[Said]:
        """Everything that is said; AnswerError when it is still wrong after it was told."""
        mended, left, choice = False, len(self._asks.missing), ""
        while True:
            heard = Heard()
            yield from self._request(messages, choice, heard)
            if self._foreign.calls:
                break
            missing = self._asks.missing
            if (heard.faults and mended) or (missing and not left and not heard.faults):
                raise self._hopeless(heard, missing)
            if not missing and (mended or not heard.wrong):
                break
            mended, left = mended or bool(heard.wrong), left - bool(missing and left)
            choice = tool_name(missing[0]) if missing else ""
            more, notes = told(heard, missing)
            messages, self._apart = [*messages, *more], True
            self._meter.told += notes
        yield self._meter.usage()

    def _hopeless(self, heard: Heard, missing: Sequence[str]) -> AnswerError:
        absent = [f"it does not ask for {name}, which the policy forces" for name in dict.fromkeys(missing)]
        fix = "raise max_tokens, which cut it off" if heard.cut else "take a model that is better at calling tools"
        return AnswerError(self._name, [*heard.faults, *absent], fix)

    def _request(self, messages: Sequence[BaseMessage], choice: str, heard: Heard) -> Iterator[Said]:
        """What one request gives, said as it comes and noted down in `heard`."""
        self._meter.begin()
        hearing = Hearing()
        with closing(self._chunks(messages, choice)) as chunks:
            for chunk in chunks:
                self._meter.count(chunk)
                for piece in hearing.hear(chunk):
                    yield from self._piece(piece, heard)
        for piece in hearing.end():
            yield from self._piece(piece, heard)
        heard.cut = hearing.cut

    def _chunks(self, messages: Sequence[BaseMessage], choice: str) -> Generator[AIMessage]:
        """The model's chunks. Its exceptions come as ProviderError; its stream is closed whatever happens."""
        try:
            came: list[AIMessage] = []
            with closing(self._stream(messages, choice)) as stream:
                for chunk in stream:
                    came.append(chunk)
                    yield chunk
                    if self._ctx is not None:
                        self._ctx.check()
            if self._foreign.tools and came:
                self._foreign.kept = beside(added(came))
            return
        except MMAgentError:
            raise
        except Exception as error:
            failure = explained(self._name, error, secrets_of(self._model), variable_of(self._model), self._written)
        raise failure  # not while the provider's own is handled: its message is shown nowhere

    def _stream(self, messages: Sequence[BaseMessage], choice: str) -> Generator[AIMessage]:
        """One request's stream, which LangChain types as an iterator: a generator, so that it can be closed."""
        tools = [*self._asks.tools(), *self._foreign.tools]
        if not tools:
            return cast("Generator[AIMessage]", self._model.stream(list(messages)))
        wanted = choice or self._foreign.choice
        chosen = {"tool_choice": wanted} if wanted and chooses_tools(self._model) else {}
        bound = self._model.bind_tools(cast("list[dict[str, Any]]", tools), **chosen, **self._foreign.options)
        return cast("Generator[AIMessage]", bound.stream(list(messages)))

    def _piece(self, piece: str | Call, heard: Heard) -> Iterator[Said]:
        if isinstance(piece, str):
            heard.words.append(piece)
            yield from self._words(piece)
            return
        if piece.name in self._foreign.names:
            self._foreign.calls.append(replace(piece, id=piece.id or f"call_{uuid4().hex}"))
            return
        found = self._asks.read(piece)
        # Some providers begin their ids anew with each request.
        heard.calls.append((replace(piece, id=f"reply_{next(self._calls)}"), found))
        if isinstance(found, Signal):
            yield from self._signal(found)

    def _words(self, text: str) -> Iterator[Said]:
        if self._apart or not self._in_words:
            text = text.lstrip()  # a run that is only white space is no part of the reply
        if not text:
            return
        if self._apart and self._in_words:
            text = f"\n{text}"
        self._apart, self._in_words = False, True
        self._written += len(text)
        yield TextDelta(text)

    def _signal(self, signal: Signal) -> Iterator[Said]:
        """Opened and complete at once: until its arguments are whole, a call may turn out to be nonsense."""
        place = self._place + self._in_words
        self._place, self._in_words = place + 1, False
        yield SpanOpened(signal.modality, place)
        yield replace(signal, place=place)
