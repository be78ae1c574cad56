"""Ports as text, `speech(rate=16000)`, `list[image]`, `text | None`, and back; and when one port's value enters another.

It knows ports alone: no card, no graph.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Literal

from mmagent.card import Port, Scalar
from mmagent.media import fits

Misfit = Literal["", "list", "modality", "constraint"]

# Possessive, since spaces that could belong to any of six places would be tried in all of them.
_PORT = re.compile(r"\s*+(list\[)?\s*+([\w-]++)\s*+(?:\((.*)\))?\s*+(\])?\s*+(\|\s*+None)?\s*+", re.DOTALL)
_BARE = r"[^\s,()\[\]\"'=|]+"
_ITEM = re.compile(rf'\s*(\w+)\s*=\s*("(?:[^"\\]|\\.)*"|{_BARE})\s*(,|$)', re.DOTALL)
_WORDS: Mapping[str, Scalar] = {"True": True, "False": False, "None": None}


def parse_port(name: str, text: str) -> Port:
    """The port that `text` describes, as `str(Port)` writes it; ValueError says what cannot be read.

    >>> parse_port("question", "list[speech(rate=16000)] | None")
    Port(name='question', modality='speech', many=True, optional=True, constraints={'rate': 16000}, variable=None)
    """
    found = _PORT.fullmatch(text)
    if found is None or (found[1] is None) != (found[4] is None):
        raise ValueError(f"{text!r} is no port; write it like image, speech(rate=16000), list[image] or text | None")
    return Port(name, found[2], found[1] is not None, found[5] is not None, _constraints(found[3] or "", text))


def show_port(port: Port) -> str:
    """The text that `parse_port` reads back as this port; `str(port)` with quotes where a string needs them."""
    limits = ", ".join(f"{key}={_show(value)}" for key, value in port.constraints.items())
    text = f"{port.modality}({limits})" if limits else port.modality
    text = f"list[{text}]" if port.many else text
    return f"{text} | None" if port.optional else text


def _constraints(text: str, whole: str) -> dict[str, Scalar]:
    found: dict[str, Scalar] = {}
    position = 0
    while position < len(text):
        item = _ITEM.match(text, position)
        if item is None or item[1] in found:
            raise ValueError(f"{whole!r}: cannot read {text[position:]!r}; write each constraint once, like rate=16000")
        found[item[1]] = json.loads(item[2], strict=False) if item[2].startswith('"') else _scalar(item[2])
        position = item.end()
    return found


def _scalar(word: str) -> Scalar:
    if word in _WORDS:
        return _WORDS[word]
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    return word


def _show(value: Scalar) -> str:
    if isinstance(value, str) and not (re.fullmatch(_BARE, value) and _scalar(value) is value):
        return json.dumps(value)
    return str(value)


def resolve(port: Port, settings: Mapping[str, Scalar], modality: str | None = None) -> Port:
    """The port with `$setting` constraints replaced by their values, and its variable by `modality`.

    A constraint whose setting is None says nothing and is dropped. A port without either is returned as it is.
    """
    constraints = port.constraints
    if any(isinstance(value, str) and value.startswith("$") for value in constraints.values()):
        pairs = ((key, _setting(value, settings)) for key, value in constraints.items())
        constraints = {key: value for key, value in pairs if value is not None}
    elif port.variable is None:
        return port
    return Port(port.name, modality or port.modality, port.many, port.optional, constraints)


def _setting(value: Scalar, settings: Mapping[str, Scalar]) -> Scalar:
    return settings.get(value[1:]) if isinstance(value, str) and value.startswith("$") else value


def misfit(given: Port, wanted: Port) -> Misfit:
    """Why a value of `given` may not enter `wanted`, or nothing: a list is never taken for one of its items, and
    a constraint that `given` does not declare is not met. Whether the value may be absent is not asked.
    """
    if given.many and not wanted.many:
        return "list"
    if not fits(given.modality, wanted.modality):
        return "modality"
    met = all(given.constraints.get(key) == value for key, value in wanted.constraints.items())
    return "" if met else "constraint"
