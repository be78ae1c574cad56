"""A text as pieces that can be said at once: its sentences, and parts of those that are too long."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .families import Voice


def pieces(text: str, voice: Voice) -> Iterator[list[int]]:
    """The ids of each sentence, and of each part of one that is too long to be said at once."""
    for sentence in re.split(r"(?<=[.!?…])\s+|(?<=[。！？])|\n+", text):
        if any(letter.isalnum() for letter in sentence):
            yield from _fitting(sentence.strip(), voice)


def _fitting(text: str, voice: Voice) -> Iterator[list[int]]:
    """The ids of a text, in halves of halves, cut between words where there are any, until each can be said."""
    ids = voice.ids(text)
    if len(ids) <= voice.longest or len(text) < 2:
        if ids:
            yield ids[: voice.longest]
        return
    middle = len(text) // 2
    gaps = [match.start() for match in re.finditer(r"\s", text)]
    cut = min(gaps, key=lambda place: abs(place - middle)) if gaps else middle
    for part in (text[:cut].strip(), text[cut:].strip()):
        if any(letter.isalnum() for letter in part):
            yield from _fitting(part, voice)
