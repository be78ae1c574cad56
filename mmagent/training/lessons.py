"""A record as the model learns from it: the pieces of the prompt, what of them is supervised, what spans ask for.

Media are not read for it: what their encoders made of them is mapped into memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from blake3 import blake3

from mmagent.conversation import Role, Segment, SpanSegment, TextSegment
from mmagent.errors import ConversationError
from mmagent.model.pieces import Piece, Seen
from mmagent.training.data.record import Made, Part, Record, Shown, Turn, Words
from mmagent.training.data.reference import Reference
from mmagent.training.shards import Features

if TYPE_CHECKING:
    from mmagent.model.prompt import Prompter
    from mmagent.model.signals import SignalTable


@dataclass(frozen=True, slots=True)
class Asked:
    """A span that is learnt: its modality, its caption, what should come of it if that is known, and where in the
    lesson its `k` signal ids begin."""

    modality: str
    caption: str
    media: Reference | None
    signals: int
    k: int


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """One prompt with its reply. `supervised` are the places of pieces that are to be predicted, `spans` those asked
    for; `length` is how many positions the pieces take. Where there are `branches`, it is several prompts that begin
    alike: at each of these places another one goes on behind what stands before the first."""

    pieces: tuple[Piece, ...]
    supervised: tuple[int, ...]
    spans: tuple[Asked, ...]
    length: int
    place: str = ""
    branches: tuple[int, ...] = ()

    def id_at(self, place: int) -> int:
        """The id of a supervised piece."""
        piece = self.pieces[place]
        if not isinstance(piece, int):
            raise ConversationError(f"{self.place}: a medium cannot be predicted")
        return piece

    @property
    def key(self) -> str:
        """What tells what the model reads from any other such prompt (hex)."""
        hasher = blake3()
        for piece in self.pieces:
            if isinstance(piece, int):
                hasher.update(f"{piece}\0".encode())
            else:
                hasher.update(f"{piece.modality}\0{piece.states.shape}\0".encode() + piece.states.tobytes())
                hasher.update(b"" if piece.mask is None else piece.mask.tobytes())
        hasher.update(f"{self.branches or ''}".encode())
        return hasher.hexdigest()


def joined(lessons: Sequence[Lesson]) -> Lesson:
    """Lessons as one, in which what they have in common is read once; their media are the very same objects.

    Nothing that is learnt is in common: it would be learnt once alone.
    """
    first, *rest = lessons
    if not rest:
        return first
    most = min(min(lesson.supervised) - 1 for lesson in lessons)
    common = next(
        (at for at, same in enumerate(zip(*(lesson.pieces[:most] for lesson in lessons))) if len({*same}) > 1), most
    )
    pieces, supervised, spans, branches = first.pieces[:common], list[int](), list[Asked](), list[int]()
    for lesson in lessons:
        moved = len(pieces) - common
        branches.append(len(pieces))
        pieces += lesson.pieces[common:]
        supervised += [at + moved for at in lesson.supervised]
        spans += [replace(span, signals=span.signals + moved) for span in lesson.spans]
    return Lesson(pieces, tuple(supervised), tuple(spans), 0, first.place, tuple(branches))


def with_media_of_others(lessons: Sequence[Lesson]) -> list[Lesson]:
    """The lessons with their media of each modality passed on to the next; empty where no two could be exchanged."""
    seen = [piece for lesson in lessons for piece in lesson.pieces if isinstance(piece, Seen)]
    media = {name: [piece for piece in seen if piece.modality == name] for name in {piece.modality for piece in seen}}
    if all(len(found) < 2 for found in media.values()):
        return []
    rest = {modality: iter([*found[1:], found[0]]) for modality, found in media.items()}
    return [
        replace(
            lesson, pieces=tuple(next(rest[one.modality]) if isinstance(one, Seen) else one for one in lesson.pieces)
        )
        for lesson in lessons
    ]


def with_wishes_of_others(lessons: Sequence[Lesson]) -> list[Lesson]:
    """The lessons with what spans of each modality ask for passed on; empty where no two could be exchanged."""
    asked = passed_on([span for lesson in lessons for span in lesson.spans])
    rest = iter(asked)
    return [replace(lesson, spans=tuple(next(rest) for _ in lesson.spans)) for lesson in lessons] if asked else []


def passed_on(asked: Sequence[Asked]) -> list[Asked]:
    """The spans, each asking for what the one before it of its modality asks for, the first for what the last does;
    empty where there are no two of a modality."""
    last = {one.modality: one for one in asked}
    if len(last) == len(asked):
        return []
    found = []
    for one in asked:
        before, last[one.modality] = last[one.modality], one
        found.append(replace(one, caption=before.caption, media=before.media))
    return found


@dataclass(frozen=True, slots=True)
class _Spoken:
    """A message in which media are what their encoders gave."""

    role: Role
    segments: Sequence[Segment | Seen]


class Teacher:
    """Makes lessons of records for one model. `features` are what its encoders gave, by modality; `length` tells how
    many positions a piece takes; a lesson of more than `context` is refused. With `apart`, every reply of a record is
    learnt as if nothing had been said before it, behind the media of the record's first request; a text is learnt whole. `single` is true of
    LLMs that read a prompt as a whole: what stands behind the first reply that is learnt would not be read as in use."""

    def __init__(
        self,
        prompter: Prompter,
        table: SignalTable,
        features: Mapping[str, Features],
        length: Callable[[Piece], int],
        context: int,
        apart: bool = False,
        single: bool = False,
    ) -> None:
        self._prompter, self._table, self._features, self._single = prompter, table, features, single
        self._length, self._context, self._apart = length, context, apart

    def lesson(self, record: Record) -> Lesson:
        """The lesson of a record's turns; ConversationError if the model cannot be taught it."""
        if not self._apart or record.kind == "text":  # a text is no exchange
            return self._lesson(record.turns, record.place)
        seen: dict[int, Segment | Seen] = {}  # lessons are joined by what they have in common, media by identity

        def segment(part: Part) -> Segment | Seen:
            return seen.setdefault(id(part), self._segment(part)) if isinstance(part, Shown) else self._segment(part)

        whole = joined([self._lesson(turns, record.place, segment) for turns in exchanges(record.turns)])
        return replace(whole, length=sum(map(self._length, whole.pieces)))

    def pair(self, record: Record) -> tuple[Lesson, Lesson]:
        """The lessons of what is to be preferred and what is not; what comes before them is not learnt."""
        if record.kind != "preference":
            raise ConversationError(
                f"a record of kind {record.kind} prefers nothing; preference data has chosen and rejected"
            )
        before = tuple(Turn(turn.role, tuple(map(_unlearnt, turn.parts))) for turn in record.turns)
        chosen, rejected = (self._lesson(before + after, record.place) for after in (record.chosen, record.rejected))
        return chosen, rejected

    def pack(self, record: Record) -> None:
        """Have the encoders look at the record's media, as far as they have not."""
        for turn in (*record.turns, *record.chosen, *record.rejected):
            for part in turn.parts:
                if isinstance(part, Shown):
                    self._seen(part.media)

    def _lesson(
        self, turns: Sequence[Turn], place: str, segment: Callable[[Part], Segment | Seen] | None = None
    ) -> Lesson:
        if self._single and sum(any(turn.targets) for turn in turns) > 1:
            raise ConversationError(
                "an encoder–decoder learns one reply of a record; make a record of each, or target the last alone"
            )
        spoken = [_Spoken(turn.role, [*map(segment or self._segment, turn.parts)]) for turn in turns]
        found = self._prompter.lesson(spoken, [turn.targets for turn in turns])
        asked = [part for turn in turns for part in turn.parts if isinstance(part, Made)]
        pieces = found.pieces
        length = sum(map(self._length, pieces))
        if length > self._context:
            raise ConversationError(
                f"the record takes {length} positions, the model's context is {self._context}; cut it, or set context"
            )
        supervised = tuple(at for at, target in enumerate(found.targets) if target and at > 0)
        return Lesson(pieces, supervised, tuple(self._spans(pieces, set(supervised), asked)), length, place)

    def _spans(self, pieces: Sequence[Piece], learnt: set[int], asked: Sequence[Made]) -> list[Asked]:
        """The learnt spans of the pieces; the record's own come in the same order, echoes left out of the pieces."""
        found = []
        rest = {row.modality: [part for part in asked if part.modality == row.modality] for row in self._table}
        for at, piece in enumerate(pieces):
            row = self._table.owner(piece) if isinstance(piece, int) else None
            if row is None or piece != row.signals[0]:
                continue
            opened = max(before for before in range(at) if pieces[before] == row.open)
            made = rest[row.modality].pop(0)
            if opened in learnt:
                found.append(Asked(row.modality, made.caption, made.media, at, row.k))
        return found

    def _segment(self, part: Part) -> Segment | Seen:
        if isinstance(part, Words):
            return TextSegment(part.text)
        return SpanSegment(part.modality, part.caption) if isinstance(part, Made) else self._seen(part.media)

    def _seen(self, media: Reference) -> Seen:
        if media.modality not in self._features:
            known = ", ".join(self._features) or "none"
            raise ConversationError(
                f"the record shows {media.modality}, for which the model has no input projector; it has {known}"
            )
        features = self._features[media.modality]
        return Seen(media.modality, features.of(media), features.mask(media))


def exchanges(turns: Sequence[Turn]) -> list[tuple[Turn, ...]]:
    """A conversation's requests with their replies, each alone: behind the system's words, and with the media that the
    first request shows. ConversationError where one cannot be told without the others."""
    head = tuple(turn for turn in turns[:1] if turn.role == "system")
    asked, replies = turns[len(head) :: 2], turns[len(head) + 1 :: 2]
    if [turn.role for turn in turns[len(head) :]] != ["user", "assistant"] * len(replies) or not replies:
        raise ConversationError("replies are learnt apart where user and assistant speak in turn")
    media = tuple(part for part in asked[0].parts if isinstance(part, Shown))
    if any(isinstance(part, Shown) for turn in asked[1:] for part in turn.parts):
        raise ConversationError("replies are learnt apart where the first request alone shows media")
    said = [tuple(part for part in turn.parts if not isinstance(part, Shown)) for turn in asked]
    pairs = [(Turn("user", media + parts), reply) for parts, reply in zip(said, replies) if any(reply.targets)]
    if not pairs:
        raise ConversationError("nothing in the record is to be learnt")
    return [(*head, *pair) for pair in pairs]


def _unlearnt(part: Part) -> Part:
    """The part, not to be learnt."""
    if isinstance(part, Words):
        return Words(part.text)
    return Made(part.modality, part.caption, part.media, target=False) if isinstance(part, Made) else part
