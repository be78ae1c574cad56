"""LangChain messages as an mmagent conversation: roles, words, media and what a model made, each in its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, ChatMessage, ToolMessage

from mmagent.adapters.langchain.blocks import from_block
from mmagent.adapters.langchain.sources import Sources
from mmagent.conversation import Conversation, MediaSegment, Message, Role, Segment, SpanSegment, TextSegment, message
from mmagent.errors import ConversationError
from mmagent.media import Media

ROLES: Mapping[str, Role] = {
    "system": "system", "developer": "system", "human": "user", "user": "user", "ai": "assistant",
    "AIMessageChunk": "assistant", "assistant": "assistant", "tool": "tool", "function": "tool",
}  # fmt: skip
"""LangChain's types of message, and roles of a ChatMessage, with the role that each has in a conversation."""

FAILED = "failed-part"
"""The `kind` of a non-standard block that stands for a part which could not be made."""

_SILENT = {"tool_call", "invalid_tool_call", "tool_call_chunk", "server_tool_call", "server_tool_call_chunk",
           "server_tool_result", "reasoning", "non_standard"}  # fmt: skip
"""Blocks of other models' replies that are no part of what was said."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as an agent takes it: what was said before, the parts of the last user message, and what followed it."""

    history: Conversation
    parts: tuple[str | Media, ...]
    after: tuple[Message, ...]


def asked(
    messages: Sequence[BaseMessage], sources: Sources, system: Message | None = None, *, calls: bool = True
) -> Asked:
    """The request that messages make. `system` stands in where they begin with no system message.

    Results of tools are read as words and media; without `calls` they are left out, and the calls with them.

    ConversationError when nothing was asked or a message is of an unknown kind, IntakeError for media that cannot be
    read, or may not.
    """
    kept = messages if calls else [item for item in messages if not _is_call(item)]
    read = _one_system([_message(item, sources) for item in kept])
    if system is not None and (not read or read[0].role != "system"):
        read.insert(0, system)
    last = max((place for place, item in enumerate(read) if item.role == "user"), default=None)
    if last is None:
        raise ConversationError("the messages hold nothing from the user; add a HumanMessage")
    parts = tuple(item.media if isinstance(item, MediaSegment) else _words(item) for item in read[last].segments)
    return Asked(Conversation(read[:last]), parts, tuple(read[last + 1 :]))


def _message(given: BaseMessage, sources: Sources) -> Message:
    kind = given.role.lower() if isinstance(given, ChatMessage) else given.type
    role = ROLES.get(kind)
    if role is None:
        raise ConversationError(f"a message of type {kind!r} is no part of a conversation; use {', '.join(ROLES)}")
    if role == "assistant":
        return Message(role, tuple(_said(given, sources)))
    return message(role, *_parts(given, sources))


def _parts(given: BaseMessage, sources: Sources) -> Iterator[str | Media]:
    for block in given.content_blocks:
        found = from_block(dict(block), sources)
        if found is None:
            raise ConversationError(
                f"a {given.type} message holds a block of type {block['type']!r}; "
                "send text, text-plain, image, audio, video or file"
            )
        if found != "":
            yield found


def _said(given: BaseMessage, sources: Sources) -> Iterator[Segment]:
    """The segments of a model's message: words, and media as spans that it wrote."""
    for item in given.content_blocks:
        block = dict[str, Any](item)
        failed = _failed(block)
        if failed is not None:
            yield failed
            continue
        found = from_block(block, sources)
        if isinstance(found, Media):
            yield SpanSegment(found.modality, str((block.get("extras") or {}).get("caption") or ""), found)
        elif found is None and block["type"] not in _SILENT:
            raise ConversationError(f"an ai message holds a block of type {block['type']!r}, which is not known")
        elif found and found.strip():
            yield TextSegment(found.strip())


def _failed(block: Mapping[str, Any]) -> SpanSegment | None:
    value = block.get("value")
    if block.get("type") != "non_standard" or not isinstance(value, Mapping) or value.get("kind") != FAILED:
        return None
    return SpanSegment(str(value.get("modality")), str(value.get("caption")))


def _is_call(given: BaseMessage) -> bool:
    return isinstance(given, ToolMessage) or (isinstance(given, AIMessage) and bool(given.tool_calls))


def _one_system(messages: list[Message]) -> list[Message]:
    """The messages without those that say nothing, and with the system messages at their beginning made one."""
    said = [item for item in messages if item.segments or item.role == "user"]
    count = next((place for place, item in enumerate(said) if item.role != "system"), len(said))
    head = [segment for item in said[:count] for segment in item.segments]
    return [*([Message("system", tuple(head))] if head else []), *said[count:]]


def _words(segment: Segment) -> str:
    return segment.text if isinstance(segment, TextSegment) else ""
