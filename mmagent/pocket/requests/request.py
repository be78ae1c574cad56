"""A request as data: what is shown and asked in each turn, and what a right answer says and makes, in order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from mmagent.pocket.world.words import Spec

Input = Literal["text", "image", "sound", "video", "points"]
Output = Literal["text", "speech", "image", "sound", "video"]
INPUTS: tuple[Input, ...] = ("text", "image", "sound", "video", "points")
OUTPUTS: tuple[Output, ...] = ("text", "speech", "image", "sound", "video")


@dataclass(frozen=True, slots=True)
class Say:
    """Words of an answer, and the facts by which other words are judged: attribute and value, such as thing, cat."""

    text: str
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Make:
    """A medium of an answer: the caption that it is asked for with, what it should show (for speech, nothing: the
    caption is what is said), and the attributes of it that the request names; others are free."""

    modality: Output
    caption: str
    spec: Spec | None = None
    judged: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Exchange:
    """One turn of the user, what is shown in it first, and the answer to it."""

    words: str
    answer: tuple[Say | Make, ...]
    shown: Spec | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """A conversation. `name` is its cell, `image-sound`, or what else it tries."""

    name: str
    exchanges: tuple[Exchange, ...]
