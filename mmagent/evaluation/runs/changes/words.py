"""Requests in other words, and with slips of the keyboard."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import yaml

from mmagent.evaluation.runs.perturb import Change

if TYPE_CHECKING:
    from mmagent.evaluation.runs.perturb import Random

_WORD = re.compile(r"[^\W\d_]{3,}")
# Neighbours on a keyboard of Latin letters; other letters are swapped, doubled or left out alone.
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_BESIDE = {
    letter: row[max(0, at - 1) : at] + row[at + 1 : at + 2] for row in _ROWS for at, letter in enumerate(row)
}  # fmt: skip


def reworded(text: str, strength: float, random: Random) -> str:
    """The request in another wording, with a probability of `strength`: its opening turned, or a frame around it.

    Which openings and frames there are, `paraphrases.yaml` says; they keep what is asked. Space around stays.
    """
    if random.random() >= strength:
        return text
    core = text.strip()
    before, after = text[: text.index(core)], text[text.index(core) + len(core) :]
    openings, frames = _wordings()
    ways = [
        turned + core[len(opening) :]
        for opening, others in openings
        if core.lower().startswith(opening + " ")
        for turned in others
    ]
    ways += [frame.replace("{request}", core) for frame in frames]
    return before + ways[int(random.integers(len(ways)))] + after


def mistyped(text: str, strength: float, random: Random) -> str:
    """A slip in each word of three letters or more, with a probability of `strength`.

    Two letters swapped, one doubled, left out, or its neighbour on the keyboard; the first stays.
    """

    def slip(found: re.Match[str]) -> str:
        word = found[0]
        chance, at, kind = random.random(), int(random.integers(1, len(word) - 1)), int(random.integers(4))
        which = random.random()  # drawn for every word, so that a greater strength has the same slips and more
        letter, after = word[at], word[at + 1]
        beside = _BESIDE.get(letter.lower(), "")
        if chance >= strength:
            return word
        if kind == 0 and letter != after:
            return word[:at] + after + letter + word[at + 2 :]
        if kind == 1:
            return word[:at] + letter + word[at:]
        if kind == 2 and beside:
            return word[:at] + beside[int(which * len(beside))] + word[at + 1 :]
        return word[:at] + word[at + 1 :]

    return _WORD.sub(slip, text)


@cache
def _wordings() -> tuple[list[tuple[str, list[str]]], list[str]]:
    source = files("mmagent.evaluation.runs.changes").joinpath("paraphrases.yaml").read_text("utf-8")
    data: dict[str, Any] = yaml.safe_load(source)
    return list(data["openings"].items()), data["frames"]


TYPOS = Change("typos", (0.1, 0.25, 0.5, 1.0), words=mistyped)
PARAPHRASE = Change("paraphrase", (0.5, 1.0), words=reworded)
