"""A record: a conversation to learn from, its media not yet read, and which parts of it are to be learnt."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from mmagent.conversation import (
    Conversation,
    MediaSegment,
    Message,
    Role,
    Segment,
    SpanSegment,
    TextSegment,
)
from mmagent.errors import ConversationError
from mmagent.intake import Limits
from mmagent.media import MODALITIES
from mmagent.training.data.reference import Reference

Kind = Literal["gold-pair", "interleaved", "text", "instruction", "preference"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class Words:
    """A TextSegment to be; whatever the text holds, it is words. `target`: the model learns to say it."""

    text: str
    target: bool = False

    def __post_init__(self) -> None:
        TextSegment(self.text)
        if self.target and not self.text.strip():
            raise ConversationError("the words to be learnt are empty; leave the record out")

    def segment(self, limits: Limits | None) -> Segment:
        """The segment itself."""
        return TextSegment(self.text)


@dataclass(frozen=True, slots=True)
class Shown:
    """A MediaSegment to be: what the model is given to see or hear. It is never a target."""

    media: Reference

    @property
    def target(self) -> bool:
        return False

    def segment(self, limits: Limits | None) -> Segment:
        """The segment with its medium, read now."""
        return MediaSegment(self.media.open(limits))


@dataclass(frozen=True, slots=True)
class Made:
    """A SpanSegment to be: the assistant asks for media. `media` is what should come of it, if it is known."""

    modality: str
    caption: str
    media: Reference | None = None
    target: bool = True

    def __post_init__(self) -> None:
        TextSegment(self.caption)
        if self.modality not in MODALITIES or self.modality in ("text", "conversation"):
            raise ConversationError(f"{self.modality!r:.80} is no modality that can be asked for")
        if not self.caption.strip():
            raise ConversationError(f"the {self.modality} to be made has no caption; say what it shows")

    def segment(self, limits: Limits | None) -> Segment:
        """The segment, with its medium read now if there is one."""
        return SpanSegment(self.modality, self.caption, None if self.media is None else self.media.open(limits))


Part = Words | Shown | Made


@dataclass(frozen=True, slots=True)
class Turn:
    """What one party says. Targets and spans are the assistant's alone."""

    role: Role
    parts: tuple[Part, ...]

    def __post_init__(self) -> None:
        Message(self.role, ())  # checks the role
        if not self.parts:
            raise ConversationError(f"a {self.role} turn is empty")
        if self.role != "assistant" and any(part.target or isinstance(part, Made) for part in self.parts):
            raise ConversationError(
                f"a {self.role} turn holds a target or a span; only the assistant's words are learnt"
            )

    @property
    def targets(self) -> tuple[bool, ...]:
        """For each segment of the message whether it is to be learnt."""
        return tuple(part.target for part in self.parts)

    def message(self, limits: Limits | None = None) -> Message:
        """The message, its media read now."""
        return Message(self.role, tuple(part.segment(limits) for part in self.parts))


@dataclass(frozen=True, slots=True)
class Record:
    """One thing to learn from. ConversationError if it does not hold what its kind says.

    `gold-pair`: one medium with its words, either way round. `interleaved`: a document of words and media.
    `text`: words alone. `instruction`: a conversation. `preference`: after `turns` come `chosen` or `rejected`,
    and the first is to be preferred. `answers` are all answers that count as right, for scoring. `place` is where
    it was read.
    """

    kind: Kind
    turns: tuple[Turn, ...]
    chosen: tuple[Turn, ...] = ()
    rejected: tuple[Turn, ...] = ()
    answers: tuple[str, ...] = ()
    place: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConversationError(f"kind {self.kind!r:.80} is unknown; use one of {', '.join(KINDS)}")
        n_media = sum(1 for _ in self.media)
        if self.kind == "preference":
            if not self.turns or not _learnt(self.chosen) or not _learnt(self.rejected):
                raise ConversationError("a preference needs turns, and chosen and rejected turns with targets")
        elif self.chosen or self.rejected:
            raise ConversationError(f"a record of kind {self.kind} has no chosen or rejected turns")
        elif not _learnt(self.turns):
            raise ConversationError("nothing in the record is a target; let the assistant say something")
        if self.kind == "gold-pair" and n_media != 1:
            raise ConversationError(f"a gold pair holds one medium, not {n_media}")
        if self.kind == "text" and n_media:
            raise ConversationError(f"a record of kind text holds {n_media} media; call it interleaved")
        if self.kind == "interleaved" and not n_media:
            raise ConversationError("a record of kind interleaved holds no media; call it text")

    @property
    def media(self) -> Iterator[Reference]:
        """Every medium that it refers to, in order, of which none is read."""
        for turn in (*self.turns, *self.chosen, *self.rejected):
            for part in turn.parts:
                if not isinstance(part, Words) and part.media is not None:
                    yield part.media

    @property
    def targets(self) -> tuple[tuple[bool, ...], ...]:
        """For each message of `conversation()` and each of its segments whether it is to be learnt."""
        return tuple(turn.targets for turn in self.turns)

    def conversation(self, limits: Limits | None = None) -> Conversation:
        """The conversation of `turns`, all its media read now; BadRecord names the one that cannot be."""
        return Conversation([turn.message(limits) for turn in self.turns])


def _learnt(turns: tuple[Turn, ...]) -> bool:
    return any(any(turn.targets) for turn in turns)
