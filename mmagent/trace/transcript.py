"""Conversations with their media by handle: what a trace keeps of the request, and back again."""

from __future__ import annotations

from collections.abc import Mapping

from mmagent.conversation import Conversation, MediaSegment, Message, Role, Segment, SpanSegment, TextSegment
from mmagent.engine.events import Handle
from mmagent.errors import ConversationError
from mmagent.media import Media
from mmagent.trace.data import Said

SPAN = "span:"


def transcribe(conversation: Conversation) -> tuple[Said, ...]:
    """The conversation with each medium replaced by its handle."""
    return tuple(Said(item.role, tuple(_down(segment) for segment in item.segments)) for item in conversation)


def restore(said: tuple[Said, ...], media: Mapping[str, Media]) -> Conversation:
    """The conversation that was transcribed, with media by digest; ConversationError names one that is not at hand."""
    messages = []
    for item in said:
        role: Role = item.role
        messages.append(Message(role, tuple(_up(kind, words, handle, media) for kind, words, handle in item.segments)))
    return Conversation(messages)


def handle(medium: Media) -> Handle:
    """A medium's handle."""
    return Handle(medium.modality, medium.digest)


def _down(segment: Segment) -> tuple[str, str | None, Handle | None]:
    if isinstance(segment, TextSegment):
        return "text", segment.text, None
    if isinstance(segment, MediaSegment):
        return "media", segment.words, handle(segment.media)
    return f"{SPAN}{segment.modality}", segment.caption, handle(segment.made) if segment.made else None


def _up(kind: str, words: str | None, of: Handle | None, media: Mapping[str, Media]) -> Segment:
    if kind == "text":
        return TextSegment(words or "")
    if of is not None and of.digest not in media:
        raise ConversationError(
            f"the transcript names {of.modality} {of.digest[:12]}…, which is not at hand; load its media too"
        )
    found = media[of.digest] if of is not None else None
    if kind == "media" and found is not None:
        return MediaSegment(found, words)
    return SpanSegment(kind.removeprefix(SPAN), words or "", found)
