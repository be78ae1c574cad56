"""LLaVA's JSON: an array of conversations between `human` and `gpt`, with `<image>` where a medium is shown.

    {"id": "1", "image": "a.png", "conversations": [{"from": "human", "value": "<image>\nWhat is it?"},
                                                    {"from": "gpt", "value": "A cat."}]}

`image`, `video` and `audio` name a file or a list of files; `<image>`, `<video>` and `<audio>` stand for them.
A placeholder is a line of its own in a human's turn, and there are as many as files of that modality: otherwise the
record is bad, because nobody can tell a placeholder from a user's words. `inline=True` is for data sets of several
media that put placeholders inside sentences: then each one in a human's turn counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mmagent.conversation import Role
from mmagent.errors import IntakeError
from mmagent.training.data.bad import told
from mmagent.training.data.pieces import elements
from mmagent.training.data.record import Part, Record, Shown, Turn, Words
from mmagent.training.data.reference import Folder, Reference

_ANY = re.compile(r"<(image|video|audio)>")
_OWN_LINE = re.compile(r"(?:^|(?<=\n))[ \t]*<(image|video|audio)>[ \t]*(?=\n|$)")
_ROLES: dict[str, Role] = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "system": "system",
}


class _Said(BaseModel):
    model_config = ConfigDict(strict=True, hide_input_in_errors=True)

    who: Literal["human", "user", "gpt", "assistant", "system"] = Field(alias="from")
    value: str


class _Line(BaseModel):
    # Other keys are let be: data sets in this layout carry ids, sizes and sources of their own.
    model_config = ConfigDict(strict=True, hide_input_in_errors=True)

    conversations: list[_Said]
    image: str | list[str] | None = None
    video: str | list[str] | None = None
    audio: str | list[str] | None = None


class Llava:
    """The records of a LLaVA JSON file, whose media are in `media`."""

    def __init__(self, path: str | Path, media: str | Path, *, inline: bool = False, name: str = "") -> None:
        self._elements, self._media, self._inline = elements(path), Folder(media), inline
        self.name = name or Path(path).stem

    def __len__(self) -> int:
        return len(self._elements)

    def __getitem__(self, index: int) -> Record:
        place = self._elements.place(index)
        with told(place):
            try:
                line = _Line.model_validate_json(self._elements.read(index))
            except ValidationError as error:
                fault = error.errors()[0]
                raise IntakeError(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}") from None
            return self._record(line, place)

    def _record(self, line: _Line, place: str) -> Record:
        files = {kind: self._files(kind, getattr(line, kind)) for kind in ("image", "video", "audio")}
        asked = [said.value for said in line.conversations if _ROLES[said.who] == "user"]
        for kind, found in files.items():
            n_seen = sum(value.count(f"<{kind}>") for value in asked)
            n_bound = sum(match[1] == kind for value in asked for match in self._placeholders(value))
            if n_seen != len(found) or n_bound != len(found):
                own = "" if n_seen != len(found) else f", of which {n_bound} are lines of their own (see inline=)"
                raise IntakeError(f"{len(found)} files of {kind} and {n_seen} times <{kind}> in human turns{own}")
        rest = {kind: iter(found) for kind, found in files.items()}
        turns = tuple(
            Turn(role, tuple(self._parts(said.value, rest)))
            if (role := _ROLES[said.who]) == "user"
            else Turn(role, (Words(said.value, role == "assistant"),))
            for said in line.conversations
        )
        return Record("instruction", turns, place=place)

    def _files(self, kind: str, named: str | list[str] | None) -> list[Reference]:
        paths = [named] if isinstance(named, str) else named or []
        return [self._media.file(path, kind) for path in paths]

    def _placeholders(self, value: str) -> Iterator[re.Match[str]]:
        return (_ANY if self._inline else _OWN_LINE).finditer(value)

    def _parts(self, value: str, rest: dict[str, Iterator[Reference]]) -> Iterator[Part]:
        at = 0
        for match in self._placeholders(value):
            if match.start() > at:
                yield Words(value[at : match.start()])
            yield Shown(next(rest[match[1]]))
            at = match.end()
        if at < len(value):
            yield Words(value[at:])
