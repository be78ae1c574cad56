"""A chat model that says what it was given: for tests and examples, without a network and without a key."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from pydantic import PrivateAttr

Piece = str | tuple[str, Mapping[str, Any] | str]
"""Words, or a tool call: the tool's name and its arguments, as a mapping or as the text that stands for them."""


class ScriptedChat(BaseChatModel):
    """Answers the first request with the first list of pieces, and so on; the last one from then on.

        ScriptedChat(script=[["Here is one. ", ("make_image", {"caption": "a red cat"})]])

    Words come word by word and arguments in pieces, as a provider streams them; with `disable_streaming` a whole
    message comes. `heard` keeps the messages and settings of every request; a token is counted for each word.
    """

    script: Sequence[Sequence[Piece]]
    model_name: str = "scripted-chat"
    _heard: list[tuple[list[BaseMessage], dict[str, Any]]] = PrivateAttr(default_factory=list)

    @property
    def heard(self) -> list[tuple[list[BaseMessage], dict[str, Any]]]:
        """Every request so far: its messages, and what was bound to it (`tools`, `tool_choice`)."""
        return self._heard

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(
        self, tools: Sequence[Any], *, tool_choice: str | None = None, **kwargs: Any
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """This model with tools; it keeps to its script all the same."""
        chosen = {"tool_choice": tool_choice} if tool_choice else {}
        return self.bind(tools=list(tools), **chosen, **kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        first, *rest = (chunk.message for chunk in self._stream(messages, stop, run_manager, **kwargs))
        whole = cast("AIMessageChunk", first).__add__(cast("list[AIMessageChunk]", rest))
        message = AIMessage(
            whole.content, tool_calls=whole.tool_calls, invalid_tool_calls=whole.invalid_tool_calls,
            usage_metadata=whole.usage_metadata,
        )  # fmt: skip
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        pieces = self.script[min(len(self._heard), len(self.script) - 1)]
        self._heard.append((list(messages), kwargs))
        written = 0
        for index, piece in enumerate(pieces):
            chunks = _words(piece) if isinstance(piece, str) else _call(piece, index)
            for chunk in chunks:
                written += 1
                yield ChatGenerationChunk(message=chunk)
        read = sum(len(str(message.text).split()) for message in messages)
        usage = UsageMetadata(input_tokens=read, output_tokens=written, total_tokens=read + written)
        yield ChatGenerationChunk(message=AIMessageChunk(content="", usage_metadata=usage))


def _words(text: str) -> Iterator[AIMessageChunk]:
    first, *rest = text.split(" ")
    for word in filter(None, (first, *(f" {word}" for word in rest))):
        yield AIMessageChunk(content=word)


def _call(piece: tuple[str, Mapping[str, Any] | str], index: int) -> Iterator[AIMessageChunk]:
    """A call as it is streamed: its name and id, then its arguments in two pieces."""
    name, given = piece
    arguments = given if isinstance(given, str) else json.dumps(given)
    half = len(arguments) // 2
    yield AIMessageChunk(
        content="", tool_call_chunks=[tool_call_chunk(name=name, args="", id=f"c{index}", index=index)]
    )
    for part in filter(None, (arguments[:half], arguments[half:])):
        yield AIMessageChunk(content="", tool_call_chunks=[tool_call_chunk(args=part, index=index)])
