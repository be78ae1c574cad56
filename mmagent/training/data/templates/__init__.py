"""Templates: how facts become conversations. Each is a YAML file beside this one, with several wordings.

    kind: instruction
    wordings:
      - - user: "{media}\nQuestion: {question} Answer:"
        - assistant: "{answer}"

A turn is a role with a text that has holes. `{question}` takes the value of that name: words verbatim, whatever
they contain, or a medium at its place. `{caption->media}`, in an assistant's turn, is a span that asks for the
medium by the caption. `each: rounds` in a turn list repeats the `turns` below it for every element of a value that
is a list. What the assistant says is what is learnt.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import yaml
from blake3 import blake3
from pydantic import BaseModel, ConfigDict, ValidationError

from mmagent.conversation import Role
from mmagent.errors import IntakeError
from mmagent.training.data.record import Kind, Made, Part, Record, Shown, Turn, Words
from mmagent.training.data.reference import Reference

Value: TypeAlias = "str | Reference | Sequence[Mapping[str, Value]]"

_HERE = Path(__file__).parent
_HOLE = re.compile(r"\{([a-z_]+)(?:->([a-z_]+))?\}")


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    kind: Kind
    wordings: list[list[dict[Role, str] | _Each]]


class _Each(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    each: str
    turns: list[dict[Role, str]]


@dataclass(frozen=True, slots=True)
class Hole:
    """A place for a value, or, with `made`, for a span that asks for that medium by the caption `name`."""

    name: str
    made: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A turn to be: words and holes in order."""

    role: Role
    pieces: tuple[str | Hole, ...]


@dataclass(frozen=True, slots=True)
class Each:
    """Turns for every element of a value."""

    name: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Template:
    """Several wordings of one task."""

    name: str
    kind: Kind
    wordings: tuple[tuple[Line | Each, ...], ...]

    @classmethod
    def load(cls, name: str | Path) -> Template:
        """A template of ours by name, or of yours by the path of its YAML file; IntakeError if it is none."""
        return _load(str(name))

    @staticmethod
    def names() -> list[str]:
        """The templates that there are here."""
        return sorted(path.stem for path in _HERE.glob("*.yaml"))

    def choice(self, seed: int, what: str) -> int:
        """The number of the wording drawn for something: a pure function of seed, template and that."""
        drawn = blake3(f"{seed}\0{self.name}\0{what}".encode("utf-8", "surrogatepass")).digest(length=8)
        return int.from_bytes(drawn) % len(self.wordings)

    def record(
        self, values: Mapping[str, Value], wording: int = 0, *, answers: tuple[str, ...] = (), place: str = ""
    ) -> Record:
        """The record of these values in that wording; IntakeError names a value that is missing or of another type."""
        turns: list[Turn] = []
        for item in self.wordings[wording]:
            if isinstance(item, Line):
                turns.append(_turn(item, values))
                continue
            rounds = values.get(item.name)
            for one in rounds if isinstance(rounds, Sequence) else (rounds,):
                if not isinstance(one, Mapping):
                    raise IntakeError(f"template {self.name} needs a list of mappings as value {item.name!r}")
                turns += [_turn(line, {**values, **one}) for line in item.lines]
        return Record(self.kind, tuple(turns), answers=answers, place=place)


def _turn(line: Line, values: Mapping[str, Value]) -> Turn:
    parts = [_filled(piece, line.role, values) for piece in line.pieces]
    return Turn(line.role, tuple(_joined(parts)))


def _filled(piece: str | Hole, role: Role, values: Mapping[str, Value]) -> Part:
    learnt = role == "assistant"
    if isinstance(piece, str):
        return Words(piece, learnt and bool(piece.strip()))
    value = _value(values, piece.name)
    if piece.made:
        media = _value(values, piece.made)
        if not isinstance(value, str) or not isinstance(media, Reference):
            raise IntakeError(f"{piece.name}->{piece.made} takes words and a medium")
        return Made(media.modality, value, media)
    if isinstance(value, str):
        return Words(value, learnt)
    if isinstance(value, Reference):
        return Shown(value)
    raise IntakeError(f"the value {piece.name!r} is {type(value).__name__}, neither words nor a medium")


def _value(values: Mapping[str, Value], name: str) -> Value:
    try:
        return values[name]
    except KeyError:
        raise IntakeError(f"there is no value {name!r}; there are {', '.join(values) or 'none'}") from None


def _joined(parts: list[Part]) -> Iterator[Part]:
    """The parts with words that follow each other made one: where a wording ends and a value begins is not learnt."""
    text, learnt = "", False
    for part in parts:
        if isinstance(part, Words):
            text, learnt = text + part.text, learnt or part.target
            continue
        if text:
            yield Words(text, learnt)
        text, learnt = "", False
        yield part
    if text:
        yield Words(text, learnt)


@cache
def _load(name: str) -> Template:
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        path = _HERE / f"{name}.yaml"
    try:
        file = _File.model_validate(yaml.safe_load(path.read_text("utf-8")))
    except OSError:
        raise IntakeError(f"there is no template {name!r}; there are {', '.join(Template.names())}") from None
    except (ValidationError, ValueError, yaml.YAMLError) as error:
        raise IntakeError(f"{path} is no template: {error}") from None
    if not file.wordings or not all(file.wordings):
        raise IntakeError(f"{path} is no template: it has no wordings, or an empty one")
    wordings = tuple(tuple(_item(item, path) for item in wording) for wording in file.wordings)
    return Template(path.stem, file.kind, wordings)


def _item(item: dict[Role, str] | _Each, path: Path) -> Line | Each:
    if isinstance(item, _Each):
        return Each(item.each, tuple(_line(line, path) for line in item.turns))
    return _line(item, path)


def _line(item: Mapping[Role, Any], path: Path) -> Line:
    if len(item) != 1:
        raise IntakeError(
            f"{path} is no template: a turn is one role with its text, not {', '.join(item) or 'nothing'}"
        )
    ((role, text),) = item.items()
    pieces: list[str | Hole] = []
    at = 0
    for match in _HOLE.finditer(text):
        pieces += [text[at : match.start()]] if match.start() > at else []
        pieces.append(Hole(match[1], match[2] or ""))
        at = match.end()
    pieces += [text[at:]] if at < len(text) else []
    if any(isinstance(piece, str) and ("{" in piece or "}" in piece) for piece in pieces):
        raise IntakeError(f"{path} is no template: {text!r} has a brace that is no hole like {{name}}")
    if role != "assistant" and any(isinstance(piece, Hole) and piece.made for piece in pieces):
        raise IntakeError(f"{path} is no template: only the assistant asks for media, not {text!r}")
    return Line(role, tuple(pieces))
