"""Questions: what of a record a system is asked, and what would be right.

Every turn of the assistant that a record marks as a target is one question: the turns before it are what was said
so far, its words the reference, its media what the reply should bring.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from blake3 import blake3

from mmagent.conversation import Message
from mmagent.evaluation.prediction import Setting
from mmagent.intake import Limits
from mmagent.media import Media, Text
from mmagent.training.data import Made, Record, Turn, Words
from mmagent.training.data.bad import BadRecord


@dataclass(frozen=True, slots=True)
class Question:
    """`history` was said before; `turn` is the request. Its media are read when `parts` or `messages` is called."""

    id: str
    history: tuple[Turn, ...]
    turn: Turn
    references: tuple[str, ...]
    wanted: tuple[str, ...]

    def messages(self, limits: Limits | None = None) -> tuple[Message, ...]:
        """What was said before the request."""
        return tuple(turn.message(limits) for turn in self.history)

    def parts(self, limits: Limits | None = None) -> list[Media]:
        """The request."""
        return [
            Text(part.text) if isinstance(part, Words) else part.media.open(limits)
            for part in self.turn.parts
            if not isinstance(part, Made)  # a user's turn has none
        ]

    def key(self, settings: Mapping[str, Setting]) -> str:
        """A digest of the settings, the words, where the media are, and what would be right."""
        said = [[turn.role, *map(_identity, turn.parts)] for turn in (*self.history, self.turn)]
        whole = [self.id, sorted(settings.items()), said, self.references, self.wanted]
        return blake3(json.dumps(whole).encode()).hexdigest()[:32]


def _identity(part: object) -> list[str]:
    if isinstance(part, Words):
        return ["text", part.text]
    media = getattr(part, "media", None)
    return [getattr(part, "modality", ""), getattr(part, "caption", ""), media.place if media is not None else ""]


def questions(record: Record, id: str) -> Iterator[Question]:
    """The questions of a record, in order; BadRecord if it has none, because no user's turn comes before a target."""
    asked = [
        at
        for at, turn in enumerate(record.turns)
        if turn.role == "assistant" and any(turn.targets) and at and record.turns[at - 1].role == "user"
    ]
    if not asked:
        raise BadRecord(record.place, "no target follows a user's turn, so that there is nothing to ask")
    for at in asked:
        target = record.turns[at]
        words = " ".join("".join(part.text for part in target.parts if isinstance(part, Words)).split())
        everyones = record.answers if at == len(record.turns) - 1 else ()
        yield Question(
            id if len(asked) == 1 else f"{id}.{asked.index(at)}",
            record.turns[: at - 1],
            record.turns[at - 1],
            everyones or ((words,) if words else ()),
            tuple(part.modality for part in target.parts if isinstance(part, Made)),
        )
