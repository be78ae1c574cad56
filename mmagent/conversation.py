"""Conversations: messages of typed segments, never one string; and what a model says back, piece by piece.

It knows media; it knows no tokenizer, tool or graph.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import TYPE_CHECKING, Literal

from mmagent.errors import ConversationError
from mmagent.media import MODALITIES, Media

if TYPE_CHECKING:
    from mmagent.media import Embedding

Role = Literal["system", "user", "assistant", "tool"]
ROLES: tuple[Role, ...] = ("system", "user", "assistant", "tool")


@dataclass(frozen=True, slots=True)
class Signal:
    """A finished span before a generator is chosen: what should be made, said by the model.

    `caption` is the alt text of what is made, the prompt of the text wire, and for speech the words spoken.
    `states` are the span's hidden states `[k, D]`, or None for models that have none. `refs` are the media it
    is about, `tool` a tool that was named, `place` its position among the reply's parts.
    """

    modality: str
    caption: str
    states: Embedding | None = None
    refs: tuple[Media, ...] = ()
    tool: str | None = None
    place: int = 0


@dataclass(frozen=True, slots=True)
class TextSegment:
    """Words. Whatever they contain, they are never read as signals, controls or roles."""

    text: str

    def __post_init__(self) -> None:
        if any("\ud800" <= character <= "\udfff" for character in self.text):
            raise ConversationError("the text holds a lone surrogate, which is no character; decode it properly first")


@dataclass(frozen=True, slots=True)
class MediaSegment:
    """Media at its place in a message. `words` is what converters made of it, for models that cannot see it; `seen`
    what the model's own encoder made of it, for models that read that."""

    media: Media
    words: str | None = None
    seen: Embedding | None = None

    @property
    def bare(self) -> bool:
        """Whether nothing was made of the medium yet."""
        return self.words is None and self.seen is None


@dataclass(frozen=True, slots=True)
class SpanSegment:
    """A span that the model itself wrote, kept as structure so that it is replayed by id; `made` is what came of it."""

    modality: str
    caption: str
    made: Media | None = None


Segment = TextSegment | MediaSegment | SpanSegment


@dataclass(frozen=True, slots=True)
class Message:
    """What one party said, as segments in order."""

    role: Role
    segments: tuple[Segment, ...]

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise ConversationError(f"role {self.role!r} is unknown; use one of {', '.join(ROLES)}")
        if self.role != "assistant" and any(isinstance(item, SpanSegment) for item in self.segments):
            raise ConversationError(f"a {self.role} message holds a span; only the assistant writes spans")

    @property
    def text(self) -> str:
        """The words of the message alone."""
        return "".join(item.text for item in self.segments if isinstance(item, TextSegment))

    @property
    def media(self) -> tuple[Media, ...]:
        """The media of the message, what its spans made included, in order."""
        found = (
            item.media if isinstance(item, MediaSegment) else item.made if isinstance(item, SpanSegment) else None
            for item in self.segments
        )
        return tuple(item for item in found if item is not None)


def message(role: Role, *parts: str | Media | Segment) -> Message:
    """A message out of strings, media and segments; a Text medium becomes words."""
    from mmagent.media import Text

    def segment(part: str | Media | Segment) -> Segment:
        if isinstance(part, str):
            return TextSegment(part)
        if isinstance(part, Text):
            return TextSegment(part.text)
        if isinstance(part, Media):
            return MediaSegment(part)
        if isinstance(part, TextSegment | MediaSegment | SpanSegment):
            return part
        raise ConversationError(
            f"a message holds strings and media, not {type(part).__name__}; wrap it in a media class"
        )

    return Message(role, tuple(segment(part) for part in parts))


class Conversation(Media, modality="conversation"):
    """Messages in order, as a value: what a reasoner takes in. Its digest covers every segment and its media."""

    __slots__ = ("messages",)

    messages: tuple[Message, ...]

    def __init__(self, messages: Sequence[Message] = ()) -> None:
        super().__init__()
        object.__setattr__(self, "messages", tuple(messages))

    def __iter__(self) -> Iterator[Message]:
        return iter(self.messages)

    def __len__(self) -> int:
        return len(self.messages)

    def _chunks(self) -> Iterator[bytes]:
        for item in self.messages:
            yield f"\0{item.role}\0{len(item.segments)}".encode()
            for segment in item.segments:
                yield _identity(segment).encode("utf-8", "surrogatepass")

    def then(self, *messages: Message) -> Conversation:
        """This conversation with more messages."""
        return Conversation((*self.messages, *messages))

    @property
    def media(self) -> tuple[Media, ...]:
        """Every medium in it, in order."""
        return tuple(medium for item in self.messages for medium in item.media)

    @property
    def nbytes(self) -> int:
        return sum(len(item.text) for item in self.messages)

    def describe(self) -> dict[str, str | int | float | bool | None]:
        return {"messages": len(self.messages), "media": len(self.media)}

    def with_words(self, words: Sequence[str]) -> Conversation:
        """The same with `words` put, in order, at the media segments that have none yet; as many of each, or an error."""
        rest = list(words)

        def fill(segment: Segment) -> Segment:
            if not isinstance(segment, MediaSegment) or not segment.bare or not rest:
                return segment
            return replace(segment, words=rest.pop(0))

        filled = self._each(fill)
        if rest:
            raise ConversationError(
                f"{len(words)} descriptions were given for {len(words) - len(rest)} media without one"
            )
        return filled

    def with_seen(self, modality: str, states: Sequence[Embedding]) -> Conversation:
        """The same with an encoder's states put, in order, at the media of that modality that have neither states
        nor words yet; as many of each, or an error."""
        rest = list(states)

        def fill(segment: Segment) -> Segment:
            bare = isinstance(segment, MediaSegment) and segment.bare and segment.media.modality == modality
            return (
                replace(segment, seen=rest.pop(0)) if isinstance(segment, MediaSegment) and bare and rest else segment
            )

        filled = self._each(fill)
        if rest:
            raise ConversationError(f"{len(states)} encodings were given for {len(states) - len(rest)} {modality}")
        return filled

    def _each(self, fill: Callable[[Segment], Segment]) -> Conversation:
        return Conversation(
            [replace(item, segments=tuple(fill(segment) for segment in item.segments)) for item in self.messages]
        )


def _identity(segment: Segment) -> str:
    """A segment as an unambiguous string; lengths guard what users wrote."""
    if isinstance(segment, TextSegment):
        return f"\0text\0{len(segment.text)}\0{segment.text}"
    if isinstance(segment, MediaSegment):
        words = "-" if segment.words is None else f"{len(segment.words)}\0{segment.words}"
        seen = segment.seen.digest if segment.seen else "-"
        return f"\0media\0{segment.media.digest}\0{words}\0{seen}"
    made = segment.made.digest if segment.made else "-"
    return f"\0span\0{segment.modality}\0{len(segment.caption)}\0{segment.caption}\0{made}"


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of the answer's words, as it is decoded."""

    text: str


@dataclass(frozen=True, slots=True)
class SpanOpened:
    """The model has begun to ask for media; the Signal follows when the span is complete."""

    modality: str
    place: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What a reply has taken, told once at its end by a reasoner that counts.

    Tokens are None where nobody counted them, `cost` where no price is known; it is in `currency`. `calls` are the
    requests to the model. `told` is what the model was told to mend, one line for each thing.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cost: float | None = None
    currency: str = ""
    calls: int = 1
    told: tuple[str, ...] = ()


Said = TextDelta | SpanOpened | Signal | Usage
"""What a reasoner yields, in order."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What one request allows, per modality other than text.

    `force`: must be made at least once. `forbid`: must not be made. `most`: at most so many of it.
    `max_tokens` bounds the reply's tokens, captions among them, and `max_spans` its spans. `max_caption` bounds the
    tokens of a caption that describes what is made; words to be spoken are as long as the reply's own sentences.
    `budget` is the most seconds that the tools of one part may be expected to take. `lossy` allows lossy
    converters. `wire` is `embedding` where a projector is trained; `text` has everything made from captions. `seed`
    makes the reply repeatable. `temperature` 0 is greedy.
    """

    force: tuple[str, ...] = ()
    forbid: tuple[str, ...] = ()
    most: tuple[tuple[str, int], ...] = ()
    budget: float | None = None
    lossy: bool = True
    wire: Literal["embedding", "text"] = "embedding"
    max_tokens: int = 128
    max_caption: int = 32
    max_spans: int = 4
    temperature: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("force", "forbid"):
            if isinstance(getattr(self, name), str):
                raise ConversationError(
                    f"policy {name} is a list of modalities; write {name}=({getattr(self, name)!r},)"
                )
            object.__setattr__(self, name, tuple(getattr(self, name)))
        most = self.most.items() if isinstance(self.most, Mapping) else self.most
        object.__setattr__(self, "most", tuple((str(name), int(count)) for name, count in most))
        named = [*self.force, *self.forbid, *(name for name, _ in self.most)]
        unknown = sorted({name for name in named if name not in MODALITIES or name == "text"})
        if unknown:
            known = ", ".join(sorted(name for name in MODALITIES if name not in ("text", "conversation")))
            raise ConversationError(f"policy names {', '.join(unknown)}, which cannot be asked for; there are {known}")
        both = sorted(set(self.force) & set(self.forbid))
        if both:
            raise ConversationError(f"policy both forces and forbids {', '.join(both)}; choose one")
        for name, count in self.most:
            if count < self.force.count(name):
                raise ConversationError(f"policy forces {self.force.count(name)} {name} but allows at most {count}")
        if min(self.max_tokens, self.max_caption) < 1 or self.max_spans < 0 or not 0 <= self.temperature < inf:
            raise ConversationError(
                "policy limits must be positive: max_tokens and max_caption ≥ 1, max_spans ≥ 0, temperature ≥ 0"
            )
        if self.wire not in ("embedding", "text"):
            raise ConversationError(f"policy wire is 'embedding' or 'text', not {self.wire!r}")
        if self.budget is not None and not 0 <= self.budget < inf:
            raise ConversationError(
                f"policy budget is seconds, 0 or more, not {self.budget}; leave it out for no bound"
            )

    def limit(self, modality: str) -> int:
        """How many of a modality the reply may hold."""
        if modality in self.forbid:
            return 0
        return min([count for name, count in self.most if name == modality], default=self.max_spans)
