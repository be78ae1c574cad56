"""A conversation as a prompt: each segment by its structure into ids, and no more turns than the model can hold."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from mmagent.conversation import Conversation, MediaSegment, Message, Segment, SpanSegment, TextSegment
from mmagent.errors import ConversationError
from mmagent.media import Media
from mmagent.model.signals import SignalTable
from mmagent.model.tokens import Tokens, Turn

_NAMES: Mapping[str, str] = {"image": "picture", "audio": "recording", "points": "3D shape"}


class Prompter:
    """Turns conversations into ids for one model. What anybody wrote becomes content; spans are replayed by id.

    Spans of `echoes` only repeat the words before them. They are replayed as nothing: ids that are read as words
    would teach the model to write everything twice.
    """

    def __init__(
        self, tokens: Tokens, table: SignalTable, system: str, context: int, echoes: Collection[str] = ()
    ) -> None:
        self._tokens, self._table, self._system, self._context = tokens, table, system, context
        self._echoes = frozenset(echoes)

    def ids(self, conversation: Conversation, room: int, shots: Sequence[Message] = ()) -> list[int]:
        """The prompt's ids, with `room` tokens left for the reply; the oldest turns that do not fit are left out.

        `shots` stand before the conversation and count as its oldest turns. ConversationError when there is
        nothing to answer, or no room beside the system message.
        """
        if not any(item.role == "user" for item in conversation):
            raise ConversationError("the conversation holds nothing from the user; begin with a user message")
        head, messages = self._head(conversation)
        most = max(1, self._context - room)
        turns = self._recent([*shots, *messages], most)
        while len(ids := self._tokens.prompt([*head, *turns])) > most and len(turns) > 1:
            turns.pop(0)
        if len(ids) > most:
            # One message alone is too long: its end is kept, where the question mostly stands.
            over = len(ids) - most
            if over >= len(turns[0].ids):
                fixed = len(ids) - len(turns[0].ids)
                raise ConversationError(
                    f"the system message takes {fixed} tokens of the {most} that there is room for; shorten it"
                )
            turns = [Turn(turns[0].role, turns[0].ids[over:])]
            ids = self._tokens.prompt([*head, *turns])
        return ids

    def beginning(self, conversation: Conversation, shots: Sequence[Message]) -> list[int]:
        """What the prompts of such conversations begin with, unless they leave turns out: the system message and the shots."""
        turns = [*self._head(conversation)[0], *map(self._turn, shots)]
        return self._tokens.prompt(turns, generate=False) if turns else []

    def _head(self, conversation: Conversation) -> tuple[list[Turn], list[Message]]:
        """The system turn, if there is one, and the messages after it."""
        messages = list(conversation)
        if messages and messages[0].role == "system":
            return [self._turn(messages.pop(0))], messages
        system = tuple(self._tokens.content(self._system))
        return ([Turn("system", system)] if system else []), messages

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
        return Turn(message.role, tuple(self.content(message)))

    def content(self, message: Message) -> list[int]:
        """The ids of a message's segments; media stand there as what converters made of them."""
        pieces: list[list[int]] = []
        shown = 0
        for segment in message.segments:
            shown += isinstance(segment, MediaSegment)
            if not self._echoed(segment, message):
                pieces.append(self._segment(segment, shown))
        joint = self._tokens.content("\n") if message.role != "assistant" else []
        ids: list[int] = []
        for piece in pieces:
            ids.extend([*joint, *piece] if ids and piece else piece)
        return ids

    def _echoed(self, segment: Segment, message: Message) -> bool:
        """Whether a span says nothing that the message's words do not."""
        if not isinstance(segment, SpanSegment) or segment.modality not in self._echoes:
            return False
        return " ".join(segment.caption.split()) in " ".join(message.text.split())

    def _segment(self, segment: Segment, number: int) -> list[int]:
        if isinstance(segment, TextSegment):
            return self._tokens.content(segment.text)
        if isinstance(segment, MediaSegment):
            return self._tokens.content(described(segment.media.modality, segment.words, number))
        if segment.modality not in self._table.modalities:  # said by another model
            return self._tokens.content(f"[{segment.modality}: {segment.caption}]")
        if segment.modality in self._echoes:
            return self._tokens.content(segment.caption)
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


def refs_of(conversation: Conversation) -> tuple[Media, ...]:
    """What a request is about: the media of the user's last message, the last one first."""
    last = next((item for item in reversed(conversation.messages) if item.role == "user"), None)
    media = [item.media for item in last.segments if isinstance(item, MediaSegment)] if last else []
    return tuple(reversed(media))
