"""A conversation as a prompt: each segment by its structure into ids, and no more turns than the model can hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mmagent.conversation import Conversation, MediaSegment, Message, Segment, TextSegment
from mmagent.errors import ConversationError
from mmagent.model.signals import SignalTable
from mmagent.model.tokens import Tokens, Turn

_NAMES: Mapping[str, str] = {"image": "picture", "audio": "recording", "points": "3D shape"}


class Prompter:
    """Turns conversations into ids for one model. What anybody wrote becomes content; spans are replayed by id."""

    def __init__(self, tokens: Tokens, table: SignalTable, system: str, context: int) -> None:
        self._tokens, self._table, self._system, self._context = tokens, table, system, context

    def ids(self, conversation: Conversation, room: int, shots: Sequence[Message] = ()) -> list[int]:
        """The prompt's ids, with `room` tokens left for the reply; the oldest turns that do not fit are left out.

        `shots` stand before the conversation and count as its oldest turns. ConversationError when there is
        nothing to answer.
        """
        if not any(item.role == "user" for item in conversation):
            raise ConversationError("the conversation holds nothing from the user; begin with a user message")
        messages = list(conversation)
        first = messages.pop(0) if messages[0].role == "system" else None
        head = [self._turn(first)] if first else []
        if not head and self._system:
            head = [Turn("system", tuple(self._tokens.content(self._system)))]
        most = max(1, self._context - room)
        turns = self._recent([*shots, *messages], most)
        while len(ids := self._tokens.prompt([*head, *turns])) > most and len(turns) > 1:
            turns.pop(0)
        if len(ids) > most:
            # One message alone is too long: its end is kept, where the question mostly stands.
            over = len(ids) - most
            turns = [Turn(turns[0].role, turns[0].ids[over:])]
            ids = self._tokens.prompt([*head, *turns])
        return ids

    def _recent(self, messages: Sequence[Message], most: int) -> list[Turn]:
        """The last messages, as many as can have room, and one at least; the template's own tokens not counted."""
        turns: list[Turn] = []
        for item in reversed(messages):
            turn = self._turn(item)
            most -= len(turn.ids)
            if most < 0 and turns:
                break
            turns.insert(0, turn)
        return turns

    def _turn(self, message: Message) -> Turn:
        return Turn(message.role, tuple(self._content(message)))

    def _content(self, message: Message) -> list[int]:
        """The ids of a message's segments; media stand there as what converters made of them."""
        pieces: list[list[int]] = []
        shown = 0
        for segment in message.segments:
            shown += isinstance(segment, MediaSegment)
            pieces.append(self._segment(segment, shown))
        joint = self._tokens.content("\n") if message.role != "assistant" else []
        ids: list[int] = []
        for piece in pieces:
            ids.extend([*joint, *piece] if ids and piece else piece)
        return ids

    def _segment(self, segment: Segment, number: int) -> list[int]:
        if isinstance(segment, TextSegment):
            return self._tokens.content(segment.text)
        if isinstance(segment, MediaSegment):
            return self._tokens.content(described(segment.media.modality, segment.words, number))
        if segment.modality not in self._table.modalities:  # said by another model
            return self._tokens.content(f"[{segment.modality}: {segment.caption}]")
        row = self._table[segment.modality]
        return [row.open, *self._tokens.content(f" {segment.caption}"), *row.signals]


def described(modality: str, words: str | None, number: int = 1) -> str:
    """Media as the model reads it. What somebody spoke stands there as if it had been typed.

    >>> described("image", "a red box"), described("speech", "Hello!")
    ('[picture 1 shows: a red box]', 'Hello!')
    """
    if modality == "speech" and words:
        return words
    name = _NAMES.get(modality, modality)
    if not words:
        return f"[{name} {number}]"
    return f"[{name} {number} {'is' if modality == 'audio' else 'shows'}: {words}]"
