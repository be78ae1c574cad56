"""Tools of LangChain's, offered to the chat model that speaks for an agent, beside what the agent itself can make.

The model's calls of them leave with the reply. What came of them arrives among the next messages, and is put back where
it was: an mmagent conversation knows media that were asked for, and no calls of others' tools.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, ToolMessage
from langchain_core.messages.tool import ToolCallChunk, tool_call_chunk
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from pydantic import ConfigDict, PrivateAttr, SkipValidation

from mmagent.errors import MMAgentError
from mmagent.model.chat import ChatReasoner
from mmagent.model.chat.abilities import calls_tools, chooses_tools
from mmagent.model.chat.failures import explained
from mmagent.model.chat.providers import variable_of
from mmagent.model.chat.redact import secrets_of
from mmagent.model.reasoner import Reasoner

Exchanges = Mapping[int, Sequence[BaseMessage]]
"""Calls and results of LangChain's tools, by the number of the user message that they follow, from 1."""


class Handover(MMAgentError):
    """The model has called tools of LangChain's, and is not asked for more before they have answered."""


class Offering(BaseChatModel):
    """A chat model that is offered further tools, for one reply; it keeps back its calls of them as `calls`."""

    model: Annotated[BaseChatModel, SkipValidation]
    title: str
    tools: list[dict[str, Any]]
    choice: Annotated[Any, SkipValidation] = None
    exchanges: Annotated[Exchanges, SkipValidation]

    model_config = ConfigDict(arbitrary_types_allowed=True)

    _kept: list[ToolCallChunk] = PrivateAttr(default_factory=list)
    _mine: dict[object, bool] = PrivateAttr(default_factory=dict)

    @property
    def _llm_type(self) -> str:
        return "mmagent-offering"

    @property
    def calls(self) -> AIMessageChunk:
        """The calls of the further tools, as a message that holds nothing else."""
        total = AIMessageChunk(content="")
        for piece in self._kept:
            total += AIMessageChunk(content="", tool_call_chunks=[piece])
        return total

    def bind_tools(
        self, tools: Sequence[Any], *, tool_choice: str | None = None, **kwargs: Any
    ) -> Runnable[Any, AIMessage]:
        """The model with the agent's own asks as tools; the further ones join them in each request."""
        return self.bind(tools=list(tools), tool_choice=tool_choice, **kwargs)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        *,
        tools: Sequence[Any] = (),
        tool_choice: str | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        if self._kept:
            raise Handover(f"{self.title} waits for the tools that it has called")
        forced = self.choice not in (None, False, "auto", "none")
        if forced and not any(isinstance(item, AIMessage) and item.tool_calls for item in messages):
            tools = ()  # to ask for media would count as a call
        chosen = tool_choice or self.choice
        options = {"tool_choice": chosen} if chosen and chooses_tools(self.model) else {}
        try:
            bound = self.model.bind_tools([*tools, *self.tools], **options)
            for message in bound.stream(self._with_exchanges(messages)):
                yield ChatGenerationChunk(message=self._rest(message))
            return
        except MMAgentError:
            raise
        except Exception as error:
            failure = explained(self.title, error, secrets_of(self.model), variable_of(self.model), 0)
        raise failure  # not while the provider's own is handled: its message is shown nowhere

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        raise NotImplementedError("a reply is always streamed")

    def _with_exchanges(self, messages: Sequence[BaseMessage]) -> list[BaseMessage]:
        found: list[BaseMessage] = []
        users = 0
        for item in messages:
            found.append(item)
            if isinstance(item, HumanMessage):
                users += 1
                found += self.exchanges.get(users, ())
        return found

    def _rest(self, message: AIMessage) -> AIMessageChunk:
        """A chunk, or a whole message, without the calls of the further tools, which are kept."""
        rest = [piece for piece in _pieces(message) if not self._keep(piece)]
        return AIMessageChunk(
            content=str(message.text),
            tool_call_chunks=rest,
            usage_metadata=message.usage_metadata,
            response_metadata=message.response_metadata,
        )

    def _keep(self, piece: ToolCallChunk) -> bool:
        """Whether a piece belongs to a call of the further tools; the first piece of a call has its name."""
        index = piece.get("index")
        key = piece.get("id") if index is None else index
        if piece.get("name"):
            self._mine[key] = self._mine[None] = piece["name"] in {tool["function"]["name"] for tool in self.tools}
        mine = self._mine.get(key, self._mine.get(None, False))
        if mine:
            self._kept.append(piece)
        return mine


def calls_foreign_tools(reasoner: Reasoner) -> bool:
    """Whether a reasoner can be offered tools of LangChain's: a chat model that calls tools."""
    return isinstance(reasoner, ChatReasoner) and calls_tools(reasoner.model)


def exchanges(messages: Sequence[BaseMessage]) -> dict[int, list[BaseMessage]]:
    """The calls of LangChain's tools among messages, with their results, as any provider takes them."""
    found: dict[int, list[BaseMessage]] = {}
    users = 0
    for item in messages:
        if item.type in ("human", "user") or getattr(item, "role", "") in ("user", "human"):
            users += 1
        elif isinstance(item, AIMessage) and item.tool_calls:
            found.setdefault(users, []).append(AIMessage(str(item.text), tool_calls=item.tool_calls))
        elif isinstance(item, ToolMessage):
            result = ToolMessage(str(item.text), tool_call_id=item.tool_call_id, name=item.name, status=item.status)
            found.setdefault(users, []).append(result)
    return found


def _pieces(message: AIMessage) -> list[ToolCallChunk]:
    if isinstance(message, AIMessageChunk):
        return message.tool_call_chunks
    return [
        tool_call_chunk(name=call["name"], args=json.dumps(call["args"]), id=call["id"], index=place)
        for place, call in enumerate(message.tool_calls)
    ]
