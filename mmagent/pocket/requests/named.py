"""Whether words say the facts that were asked for: a pure function of a text, whatever else it says."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache

from mmagent.pocket.world.catalogue import catalogue
from mmagent.pocket.world.words import plural

_COUNTS = {
    "1": r"one|once|1|single|a single time", "2": r"two|twice|2|a pair of|a couple of", "3": r"three|thrice|3",
}  # fmt: skip
_MOTIONS = {
    "bounces": r"bounc\w+", "grows": r"gr[oe]w\w*|gets? (?:bigger|larger)|getting (?:bigger|larger)",
    "shrinks": r"shr[ia]nk\w*|gets? smaller|getting smaller", "left": r"left|leftwards?", "right": r"right|rightwards?",
    "up": r"up|upwards?|ris\w+|climb\w*", "down": r"down|downwards?|sink\w*|fall\w*|descend\w*",
}  # fmt: skip
_RELATIONS = {
    "left of": (r"(?:to the )?left of|on the left of", r"(?:to the )?right of|on the right of"),
    "above": (r"above|over|on top of", r"below|under|underneath|beneath"),
}


def named(facts: Mapping[str, str], text: str) -> dict[str, bool]:
    """For each fact, whether the text tells it and nothing in its place that contradicts it.

    >>> named({"thing": "drum", "count": "2"}, "I hear a snare drum, twice.")
    {'thing': True, 'count': True}
    >>> named({"thing": "drum"}, "A long drum or a drum.")
    {'thing': False}
    """
    said = text.lower().replace("-", " ")
    return {fact: _TOLD[fact](value, said, facts) for fact, value in facts.items()}


def things(text: str) -> list[str]:
    """The things that a text names, by any of their names, in order.

    >>> things("A kitten above two wine glasses.")
    ['cat', 'wine glass']
    """
    names, pattern = _names()
    return [names[match.group()] for match in pattern.finditer(text.lower())]


def normal(text: str) -> list[str]:
    """The words alone."""
    return re.findall(r"[a-z0-9']+", text.lower())


@cache
def _names() -> tuple[dict[str, str], re.Pattern[str]]:
    """What things are called, one or several of them; longer names are looked for first."""
    names = {form: thing.name for thing in catalogue().things for name in thing.names for form in (name, plural(name))}
    longest = sorted(names, key=len, reverse=True)
    return names, re.compile(rf"\b(?:{'|'.join(map(re.escape, longest))})\b")


def _found(patterns: Mapping[str, str], said: str) -> set[str]:
    return {name for name, pattern in patterns.items() if re.search(rf"\b(?:{pattern})\b", said)}


def _thing(value: str, said: str, facts: Mapping[str, str]) -> bool:
    return {*things(said)} == {value}


def _background(value: str, said: str, facts: Mapping[str, str]) -> bool:
    return _found({name: name.replace("grey", "gr[ae]y") for name in catalogue().backgrounds}, said) == {value}


def _count(value: str, said: str, facts: Mapping[str, str]) -> bool:
    """A thing with an article is one, if no number is told."""
    told = _found(_COUNTS, said)
    return told == {value} or (not told and value == "1" and "thing" in facts and bool(things(said)))


def _motion(value: str, said: str, facts: Mapping[str, str]) -> bool:
    told = _found(_MOTIONS, said)
    return told == {value} or (value == "bounces" and "bounces" in told and told <= {"bounces", "up", "down"})


def _there(value: str, said: str, facts: Mapping[str, str]) -> bool:
    told = [word for word in normal(said) if word in ("yes", "no")]
    return bool(told) and told[0] == value


def _relation(value: str, said: str, facts: Mapping[str, str]) -> bool:
    """Which of the two things is told to lie how to the other; the other way round is as right."""
    told = things(said)
    forward, back = (bool(re.search(rf"\b(?:{pattern})\b", said)) for pattern in _RELATIONS[value])
    pair = [facts["first"], facts["second"]]
    return (forward and not back and told == pair) or (back and not forward and told == pair[::-1])


def _is_there(value: str, said: str, facts: Mapping[str, str]) -> bool:
    return value in things(said)


def _no_sound(value: str, said: str, facts: Mapping[str, str]) -> bool:
    return bool(re.search(r"\b(?:no|not|n't|cannot|silent|without)\b", said))


def _words(value: str, said: str, facts: Mapping[str, str]) -> bool:
    return normal(said) == normal(value)


_TOLD: Mapping[str, Callable[[str, str, Mapping[str, str]], bool]] = {
    "thing": _thing, "background": _background, "count": _count, "motion": _motion, "there": _there,
    "first": _is_there, "second": _is_there, "relation": _relation, "sound": _no_sound, "words": _words,
}  # fmt: skip
