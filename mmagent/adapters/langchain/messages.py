"""LangChain messages as an mmagent conversation: roles, words, media and what a model made, each in its place.

A conversation has no calls of LangChain's tools. What ties those to their results stays beside it, as links.
"""

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
from mmagent.model.chat.foreign import Links

ROLES: Mapping[str, Role] = {
    "system": "system", "developer": "system", "human": "user", "user": "user", "ai": "assistant",
    "AIMessageChunk": "assistant", "assistant": "assistant", "tool": "tool", "function": "tool",
}  # fmt: skip
"""LangChain's types of message, and roles of a ChatMessage, with the role that each has in a conversation."""

Linked = tuple[Message, AIMessage | ToolMessage | None]
"""A message, and the one of LangChain's that ties it to calls or to a call, if it does."""

FAILED = "failed-part"
"""The `kind` of a non-standard block that stands for a part which could not be made."""

_SILENT = {"tool_call", "invalid_tool_call", "tool_call_chunk", "server_tool_call", "server_tool_call_chunk",
           "server_tool_result", "reasoning", "non_standard"}  # fmt: skip
"""Blocks of other models' replies that are no part of what was said."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as an agent takes it: what was said before, the parts of the last user message, and what followed it.

    `links` are the messages that call tools or answer a call, by their place in all of it.
    """

    history: Conversation
    parts: tuple[str | Media, ...]
    after: tuple[Message, ...]
    links: Links


def asked(
    messages: Sequence[BaseMessage], sources: Sources, system: Message | None = None, *, linked: bool = False
) -> Asked:
    """The request that messages make. `system` stands in where they begin with no system message.

    Results of tools are read as words and media; without `linked` there are no links, and no messages that only call.

    ConversationError when nothing was asked or a message is of an unknown kind, IntakeError for media that cannot be
    read, or may not.
    """
    read = _one_system([(_message(item, sources), _link(item) if linked else None) for item in messages])
    if system is not None and (not read or read[0][0].role != "system"):
        read.insert(0, (system, None))
    said = [item for item, _ in read]
    last = max((place for place, item in enumerate(said) if item.role == "user"), default=None)
    if last is None:
        raise ConversationError("the messages hold nothing from the user; add a HumanMessage")
    parts = tuple(item.media if isinstance(item, MediaSegment) else _words(item) for item in said[last].segments)
    links = {place: link for place, (_, link) in enumerate(read) if link is not None}
    return Asked(Conversation(said[:last]), parts, tuple(said[last + 1 :]), links)


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


def _link(given: BaseMessage) -> AIMessage | ToolMessage | None:
    calls = isinstance(given, AIMessage) and (given.tool_calls or given.invalid_tool_calls)
    return given if isinstance(given, ToolMessage) or (isinstance(given, AIMessage) and calls) else None


def _one_system(messages: list[Linked]) -> list[Linked]:
    """The messages without those that say and tie nothing, and with the system messages at their beginning made one."""
    kept = [(item, link) for item, link in messages if item.segments or item.role == "user" or link]
    count = next((place for place, (item, _) in enumerate(kept) if item.role != "system"), len(kept))
    head = [segment for item, _ in kept[:count] for segment in item.segments]
    return [*([(Message("system", tuple(head)), None)] if head else []), *kept[count:]]


def _words(segment: Segment) -> str:
    return segment.text if isinstance(segment, TextSegment) else ""
