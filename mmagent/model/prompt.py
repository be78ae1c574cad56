"""A conversation as a prompt: each segment by its structure into pieces, and no more turns than the model can hold."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from mmagent.conversation import Conversation, MediaSegment, Message, Role, Segment, SpanSegment, TextSegment
from mmagent.errors import ConversationError
from mmagent.media import Media
from mmagent.model.pieces import Piece, Seen
from mmagent.model.signals import SignalTable
from mmagent.model.tokens import Tokens, Turn

_NAMES: Mapping[str, str] = {"image": "picture", "audio": "recording", "points": "3D shape"}


class Spoken(Protocol):
    """A Message, or the like of it in which media are what their encoders gave."""

    @property
    def role(self) -> Role: ...

    @property
    def segments(self) -> Sequence[Segment | Seen]: ...


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """A prompt with the replies in it, to learn from. `targets` is True at each piece that is to be predicted from
    those before it."""

    pieces: tuple[Piece, ...]
    targets: tuple[bool, ...]


class Prompter:
    """Turns conversations into pieces for one model. What anybody wrote becomes content; spans are replayed by id.

    Spans of `echoes` only repeat the words before them. They are replayed as nothing: ids that are read as words
    would teach the model to write everything twice. `length` tells how many of the context's tokens a piece takes.
    """

    def __init__(
        self, tokens: Tokens, table: SignalTable, system: str, context: int, echoes: Collection[str] = (),
        length: Callable[[Piece], int] = lambda piece: 1,
    ) -> None:  # fmt: skip
        self._tokens, self._table, self._system, self._context = tokens, table, system, context
        self._echoes, self._length = frozenset(echoes), length
        self._forced = frozenset(number for row in table for number in row.signals[1:])

    def pieces(self, conversation: Conversation, room: int, shots: Sequence[Message] = ()) -> list[Piece]:
        """The prompt, with `room` tokens left for the reply; the oldest turns that do not fit are left out.

        `shots` stand before the conversation and count as its oldest turns. ConversationError when there is
        nothing to answer, or no room beside the system message.
        """
        if not any(item.role == "user" for item in conversation):
            raise ConversationError("the conversation holds nothing from the user; begin with a user message")
        head, messages = self._head(list(conversation))
        most = max(1, self._context - room)
        turns = self._recent([*shots, *messages], most)
        while self._size(found := self._tokens.prompt([*head, *turns])) > most and len(turns) > 1:
            turns.pop(0)
        if (size := self._size(found)) > most:
            # One message alone is too long: its end is kept, where the question mostly stands.
            taken = self._size(turns[0].pieces)
            if size - most >= taken:
                raise ConversationError(
                    f"the system message takes {size - taken} tokens of the {most} that there is room for; shorten it"
                )
            turns = [Turn(turns[0].role, self._end(turns[0].pieces, taken - (size - most)))]
            found = self._tokens.prompt([*head, *turns])
        return found

    def _size(self, pieces: Sequence[Piece]) -> int:
        return sum(map(self._length, pieces))

    def _end(self, pieces: Sequence[Piece], most: int) -> tuple[Piece, ...]:
        """The last pieces that together take `most` tokens at most; a medium is there whole or not at all."""
        for at in range(len(pieces), 0, -1):
            most -= self._length(pieces[at - 1])
            if most < 0:
                return tuple(pieces[at:])
        return tuple(pieces)

    def beginning(self, conversation: Conversation, shots: Sequence[Message]) -> list[Piece]:
        """What the prompts of such conversations begin with, unless they leave turns out: the system message and the shots."""
        turns = [*self._head(list(conversation))[0], *map(self._turn, shots)]
        return self._tokens.prompt(turns, generate=False) if turns else []

    def lesson(self, messages: Sequence[Spoken], targets: Sequence[Sequence[bool]]) -> Lesson:
        """The very prompt that `pieces` makes of a conversation, its replies in it, with what of them is to be learnt.

        `targets` says so for each segment of each message. Of a target span the open id, the caption and the first
        signal id are to be predicted: the others are forced. Behind a message that ends with a target its end is to
        be predicted too, and what follows the last target is left out. ConversationError for a target that nobody
        learns to say.
        """
        head, rest = self._head(list(messages))
        turns, flags = list(head), [[False] * len(turn.pieces) for turn in head]
        ends = [False] * len(head)
        for message, wanted in zip(rest, targets[len(messages) - len(rest) :], strict=True):
            pieces, learnt = self._learnt(message, wanted)
            turns.append(Turn(message.role, pieces))
            flags.append(learnt)
            ends.append(bool(wanted) and wanted[-1])
        said = list(self._taught(turns, flags, ends))
        last = max((at for at, (_, target) in enumerate(said) if target), default=len(said) - 1)
        return Lesson(tuple(piece for piece, _ in said[: last + 1]), tuple(target for _, target in said[: last + 1]))

    def _taught(
        self, turns: Sequence[Turn], flags: Sequence[Sequence[bool]], ends: Sequence[bool]
    ) -> Iterator[tuple[Piece, bool]]:
        """Every piece of the conversation, and whether it is a target; the end of a turn that `ends` with one is one."""
        ended = False
        for number, run in self._tokens.runs(turns, generate=False):
            if number is None:
                yield from ((piece, ended and at == 0 and piece == self._tokens.end) for at, piece in enumerate(run))
                ended = ended and not run
            else:
                yield from zip(run, flags[number])
                ended = bool(flags[number]) and ends[number]
        if ended:  # a transcript without control tokens: what comes next tells that the reply has ended
            yield self._tokens.end, True

    def _learnt(self, message: Spoken, wanted: Sequence[bool]) -> tuple[tuple[Piece, ...], list[bool]]:
        """A message's content, and which pieces of it are targets."""
        pieces: list[Piece] = []
        flags: list[bool] = []
        for (segment, run), target in zip(self._segments(message), wanted, strict=True):
            if target and (message.role != "assistant" or not isinstance(segment, TextSegment | SpanSegment)):
                raise ConversationError(
                    f"a {message.role} message has a target that is not the assistant's words or span"
                )
            pieces += run
            flags += [target and piece not in self._forced for piece in run]
        return tuple(pieces), flags

    def _head(self, messages: list[Spoken]) -> tuple[list[Turn], list[Spoken]]:
        """The system turn, if there is one, and the messages after it."""
        if messages and messages[0].role == "system":
            return [self._turn(messages[0])], messages[1:]
        system = tuple(self._tokens.content(self._system))
        return ([Turn("system", system)] if system else []), messages

    def _recent(self, messages: Sequence[Spoken], most: int) -> list[Turn]:
        """The last messages, as many as can have room, and one at least; the template's own tokens not counted."""
        turns: list[Turn] = []
        for item in reversed(messages):
            turn = self._turn(item)
            most -= self._size(turn.pieces)
            if most < 0 and turns:
                break
            turns.insert(0, turn)
        return turns

    def _turn(self, message: Spoken) -> Turn:
        return Turn(message.role, tuple(self.content(message)))

    def content(self, message: Spoken) -> list[Piece]:
        """The pieces of a message's segments; a medium stands there as the model sees it, or as converters put it."""
        return [piece for _, run in self._segments(message) for piece in run]

    def _segments(self, message: Spoken) -> Iterator[tuple[Segment | Seen, list[Piece]]]:
        """Each segment with its pieces, and a line break before it where others than the assistant speak.

        In a transcript without a chat template the assistant's first word brings its space along, as generated.
        """
        shown, begun = 0, False
        spaced = message.role == "assistant" and self._tokens.template.plain
        for segment in message.segments:
            shown += isinstance(segment, MediaSegment | Seen)
            if spaced and not begun and isinstance(segment, TextSegment):
                segment = TextSegment(f" {segment.text.lstrip()}")
            run = [] if self._echoed(segment, message) else self._segment(segment, shown)
            joint = self._tokens.content("\n") if begun and run and message.role != "assistant" else []
            begun = begun or bool(run)
            yield segment, [*joint, *run]

    def _echoed(self, segment: Segment | Seen, message: Spoken) -> bool:
        """Whether a span says nothing that the message's words do not."""
        if not isinstance(segment, SpanSegment) or segment.modality not in self._echoes:
            return False
        words = "".join(item.text for item in message.segments if isinstance(item, TextSegment))
        return " ".join(segment.caption.split()) in " ".join(words.split())

    def _segment(self, segment: Segment | Seen, number: int) -> list[Piece]:
        content = self._tokens.content
        if isinstance(segment, TextSegment):
            return [*content(segment.text)]
        if isinstance(segment, Seen):
            name = _NAMES.get(segment.modality, segment.modality)
            return [*content(f"[{name} {number}: "), segment, *content("]")]
        if isinstance(segment, MediaSegment):
            modality, states = segment.media.modality, segment.seen
            if states is not None:
                return self._segment(Seen(modality, states.array, states.mask), number)
            return [*content(described(modality, segment.words, number))]
        if segment.modality not in self._table.modalities:  # said by another model
            return [*content(f"[{segment.modality}: {segment.caption}]")]
        if segment.modality in self._echoes:
            return [*content(segment.caption)]
        row = self._table[segment.modality]
        return [row.open, *content(f" {segment.caption}"), *row.signals]


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
    return tuple(item.media for item in reversed(_asked_about(conversation)))


def put_into_words(conversation: Conversation) -> list[str]:
    """The modalities of the user's last message that stand there in words, in order."""
    return list(dict.fromkeys(item.media.modality for item in _asked_about(conversation) if item.seen is None))


def _asked_about(conversation: Conversation) -> list[MediaSegment]:
    last = next((item for item in reversed(conversation.messages) if item.role == "user"), None)
    return [item for item in last.segments if isinstance(item, MediaSegment)] if last else []
