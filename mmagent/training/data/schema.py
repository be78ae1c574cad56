"""The schema of a record in JSON, checked where it enters; every key that it does not know is an error.

    {"kind": "instruction",
     "turns": [{"role": "user", "parts": [{"media": "image", "path": "cat.png"}, {"text": "What is it?"}]},
               {"role": "assistant", "parts": [{"text": "A cat. "}, {"make": "image", "caption": "a cat", "path": "2.png"}]}]}

Optional are `target` of words and of spans (true in the assistant's turns, false elsewhere), `path` of a span,
`answers`, and, for kind `preference` alone, `chosen` and `rejected`, written as `turns` are.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Tag, ValidationError

from mmagent.conversation import Role
from mmagent.errors import IntakeError
from mmagent.media import MODALITIES
from mmagent.training.data.record import Kind, Made, Part, Record, Shown, Turn, Words
from mmagent.training.data.reference import Resolve


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class TextPart(_Strict):
    """Words, verbatim."""

    text: str
    target: bool | None = None


class MediaPart(_Strict):
    """A medium that is shown: its modality and its path in the folder."""

    media: str
    path: str


class SpanPart(_Strict):
    """A medium that the assistant asks for: modality, caption, and what should come of it if that is known."""

    make: str
    caption: str
    path: str | None = None
    target: bool | None = None


def _which(part: Any) -> str | None:
    return next((key for key in ("text", "media", "make") if isinstance(part, dict) and key in part), None)


_Part = Annotated[
    Annotated[TextPart, Tag("text")] | Annotated[MediaPart, Tag("media")] | Annotated[SpanPart, Tag("make")],
    Discriminator(
        _which, custom_error_type="part", custom_error_message="a part holds one of the keys text, media and make"
    ),
]


class TurnLine(_Strict):
    """What one party says."""

    role: Literal[Role]
    parts: list[_Part]


class RecordLine(_Strict):
    """A record, one line of a file."""

    kind: Kind
    turns: list[TurnLine]
    chosen: list[TurnLine] = []
    rejected: list[TurnLine] = []
    answers: list[str] = []


def parse(data: bytes | str, place: str, resolve: Resolve) -> Record:
    """The record of a JSON text; IntakeError or ConversationError says what is wrong with it."""
    try:
        line = RecordLine.model_validate_json(data)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc'])) or 'the line'}: {fault['msg']}" for fault in error.errors()]
        more = f" (and {len(faults) - 3} more)" if len(faults) > 3 else ""
        raise IntakeError("; ".join(faults[:3]) + more) from None
    return Record(
        line.kind,
        _turns(line.turns, resolve),
        _turns(line.chosen, resolve),
        _turns(line.rejected, resolve),
        tuple(line.answers),
        place,
    )


def _turns(lines: list[TurnLine], resolve: Resolve) -> tuple[Turn, ...]:
    return tuple(Turn(line.role, tuple(_part(part, line.role, resolve) for part in line.parts)) for line in lines)


def _part(part: TextPart | MediaPart | SpanPart, role: str, resolve: Resolve) -> Part:
    if isinstance(part, MediaPart):
        if part.media not in MODALITIES or part.media in ("text", "conversation"):
            raise IntakeError(f"{part.media!r:.80} is no modality that can be shown")
        return Shown(resolve(part.path, part.media))
    learnt = role == "assistant" if part.target is None else part.target
    if isinstance(part, TextPart):
        return Words(part.text, learnt and (part.target is True or bool(part.text.strip())))
    media = None if part.path is None else resolve(part.path, part.make)
    return Made(part.make, part.caption, media, learnt)
