"""A conversation as LangChain messages, segment by segment: roles and tool calls come from structure, never from words.

What the model asked for earlier is replayed as the tool calls that it made, each with its result, so that any provider
takes the history as its own protocol. So are its calls of tools that others brought, by links beside the conversation.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import count, groupby

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.messages.content import ContentBlock
from langchain_core.messages.tool import ToolCall

from mmagent.conversation import Conversation, MediaSegment, Message, Segment, SpanSegment, TextSegment
from mmagent.errors import ConversationError
from mmagent.media import Media
from mmagent.model.chat.blocks import block
from mmagent.model.chat.thoughts import THOUGHTS, beside

SHOWN = "What you asked for has been made:"
ANSWERED = "Media of the tools' answers:"


def tool_name(modality: str) -> str:
    """The tool that asks for a modality.

    >>> tool_name("point-flow")
    'make_point_flow'
    """
    return f"make_{modality.replace('-', '_')}"


def numbers(conversation: Conversation) -> dict[Media, int]:
    """Every medium of the conversation, numbered from 1 in the order in which they came up."""
    return {medium: number for number, medium in enumerate(dict.fromkeys(conversation.media), 1)}


def history(
    conversation: Conversation, sees: Collection[str], links: Mapping[int, AIMessage | ToolMessage] | None = None
) -> list[BaseMessage]:
    """The conversation's messages. Media of `sees` are content blocks, the others the words that converters made.

    `links` are calls of others' tools, and what ties results to them, by the places of their messages.
    ConversationError when there is nothing to answer, or a tool's words are tied to no call.
    """
    if not any(item.role == "user" for item in conversation):
        raise ConversationError("the conversation holds nothing from the user; begin with a user message")
    return list(_Writer(numbers(conversation), frozenset(sees)).all(conversation, links or {}))


class _Writer:
    """Writes messages one after another; it counts the calls, whose ids tie results to them."""

    def __init__(self, numbers: Mapping[Media, int], sees: frozenset[str]) -> None:
        self._numbers, self._sees, self._calls = numbers, sees, count(1)

    def all(self, conversation: Conversation, links: Mapping[int, AIMessage | ToolMessage]) -> Iterator[BaseMessage]:
        """The messages in order; what tools answered is shown behind all answers, since nothing may come between."""
        shown: list[Segment] = []
        for place, message in enumerate(conversation):
            link = links.get(place)
            if isinstance(link, ToolMessage):
                content = _joined(self._blocks(message.segments, seen=False))
                yield ToolMessage(content, tool_call_id=link.tool_call_id, name=link.name, status=link.status)
                shown += filter(self._seen, message.segments)
                continue
            yield from self._show(ANSWERED, shown)
            shown = []
            if message.role == "assistant":
                yield from self._linked(list(self._answer(message)), link)
            elif message.role == "system":
                yield SystemMessage(_joined(self._blocks(message.segments, seen=False)))
            elif message.role == "user":
                yield HumanMessage(_joined(self._blocks(message.segments)))
            elif message.text:
                raise ConversationError("a tool's words answer no call; send them as a ToolMessage with its id")
            else:
                yield from self._show(SHOWN, message.segments)
        yield from self._show(ANSWERED, shown)

    def _show(self, words: str, segments: Sequence[Segment]) -> Iterator[BaseMessage]:
        """Media as what the user shows: few providers take pictures in a tool's result, and all that see take these."""
        if segments:
            yield HumanMessage(_joined([_text(words), *self._blocks(segments)]))

    def _linked(self, written: list[BaseMessage], link: AIMessage | None) -> Iterator[BaseMessage]:
        """An answer with its calls of others' tools, in its last message: their results follow."""
        if link is not None:
            last = next((item for item in reversed(written) if isinstance(item, AIMessage)), None)
            if last is None:
                written.append(last := AIMessage(""))
            last.tool_calls += link.tool_calls
            last.invalid_tool_calls += link.invalid_tool_calls
            last.additional_kwargs = beside(link)
            thoughts = last.additional_kwargs.pop(THOUGHTS, [])
            if thoughts:
                last.content = [*thoughts, *([dict(_text(str(last.content)))] if last.content else [])]
        yield from written

    def _seen(self, segment: Segment) -> bool:
        return isinstance(segment, MediaSegment) and segment.media.modality in self._sees

    def _blocks(self, segments: Iterable[Segment], seen: bool = True) -> list[ContentBlock]:
        """Each segment as a block of its own, so that no words run into others; after a seen medium's number, itself."""
        blocks: list[ContentBlock] = []
        for segment in segments:
            shown = seen and self._seen(segment)
            words = self._words(segment, shown)
            if words:  # some providers refuse an empty block
                blocks.append(_text(words))
            if isinstance(segment, MediaSegment) and shown:
                blocks.append(block(segment.media))
        return blocks

    def _words(self, segment: Segment, shown: bool = False) -> str:
        if isinstance(segment, MediaSegment):
            return labelled(segment, self._numbers[segment.media], shown)
        return segment.text if isinstance(segment, TextSegment) else segment.caption

    def _answer(self, message: Message) -> Iterator[BaseMessage]:
        """An answer cut before each run of words that follows a call: words come before calls within a message."""
        words: list[str] = []
        for spans, run in groupby(message.segments, key=lambda item: isinstance(item, SpanSegment)):
            if spans:
                yield from self._asked("".join(words), [item for item in run if isinstance(item, SpanSegment)])
                words = []
            else:
                words = [self._words(segment) for segment in run]
        if words:
            yield AIMessage("".join(words))

    def _asked(self, words: str, spans: list[SpanSegment]) -> Iterator[BaseMessage]:
        calls = [
            ToolCall(name=tool_name(item.modality), args={"caption": item.caption}, id=f"call_{next(self._calls)}")
            for item in spans
        ]
        yield AIMessage(words, tool_calls=calls)
        for call, span in zip(calls, spans):
            yield ToolMessage(self._result(span), tool_call_id=call["id"], name=call["name"])

    def _result(self, span: SpanSegment) -> str:
        return f"[{span.modality} {self._numbers[span.made]}]" if span.made is not None else "It could not be made."


def labelled(segment: MediaSegment, number: int, shown: bool) -> str:
    """A medium in words: its number, and what converters made of it unless it is shown beside.

    What somebody spoke stands there as if it had been typed.
    """
    name = f"{segment.media.modality} {number}"
    if shown or not segment.words:
        return f"[{name}]"
    return f"[{name}] {segment.words}" if segment.media.modality == "speech" else f"[{name}: {segment.words}]"


def _text(words: str) -> ContentBlock:
    return {"type": "text", "text": words}


def _joined(blocks: list[ContentBlock]) -> str | list[str | dict[str, object]]:
    """The content of a message: a plain string where all of it is words, which every server takes."""
    if all(item["type"] == "text" for item in blocks):
        return "\n".join(str(item.get("text", "")) for item in blocks)
    return [dict(item) for item in blocks]
