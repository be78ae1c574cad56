"""VQA accuracy: an answer is as right as people agree with it (Antol et al. 2015).

Normalisation and formula are those that https://visualqa.org/evaluation.html describes. The challenge's own program
differs in small ways (it leaves answers alone on which all ten people agree), so a score here is comparable, not equal.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from mmagent.evaluation.score import Score, mean

_FULL = 4
"""Answers of people from which on leaving one out leaves the three that make an answer wholly right."""
_COMMA_IN_NUMBER = re.compile(r"(?<=\d),(?=\d)")
_PERIOD = re.compile(r"(?<!\d)\.|\.(?!\d)")
_PUNCTUATION = re.compile(r"[^\w\s':.]|_")
_ARTICLES = frozenset({"a", "an", "the"})
_NUMBERS = ["none", "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
_DIGITS = {word: str(max(0, place - 1)) for place, word in enumerate(_NUMBERS)}
_CONTRACTED = """
    ain't aren't can't could've couldn't didn't doesn't don't hadn't hasn't haven't he'd he's how'd how'll how's i'm i've
    isn't it'd it'll let's ma'am mightn't might've mustn't must've needn't not've o'clock oughtn't shan't should've
    shouldn't somebody's someone's something's that's there'd there's they'd they'll they're they've wasn't we've weren't
    what'll what're what's what've when's where'd where's who'd who'll who's who've why's won't would've wouldn't y'all
    you'd you'll you're you've"""
_CONTRACTIONS = {word.replace("'", ""): word for word in _CONTRACTED.split()}


def vqa_accuracy(answers: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
    """The mean accuracy. Where there are fewer than four answers of people, any of them is wholly right."""
    return mean([accuracy(answer, right) for answer, right in zip(answers, references, strict=True)])


def accuracy(answer: str, references: Sequence[str]) -> float:
    """How right one answer is: min(as many as said so / 3, 1), averaged over all ways to leave one of them out.

    >>> round(accuracy("Red.", ["red"] * 2 + ["blue"] * 8), 2)
    0.6
    """
    said, right = vqa_normal(answer), [vqa_normal(item) for item in references]
    same = right.count(said)
    if len(right) < _FULL:
        return float(same > 0)
    without_one_of_them = min((same - 1) / 3, 1.0) if same else 0.0
    return (same * without_one_of_them + (len(right) - same) * min(same / 3, 1.0)) / len(right)


def vqa_normal(text: str) -> str:
    """An answer as it is compared: small letters, digits, no articles, no punctuation but apostrophes and colons.

    >>> vqa_normal("The two dogs, at 2:50; dont!"), vqa_normal("1,000.5")
    ("2 dogs at 2:50 don't", '1000.5')
    """
    plain = _PERIOD.sub("", _COMMA_IN_NUMBER.sub("", text.lower()))
    words = (_DIGITS.get(word, word) for word in _PUNCTUATION.sub(" ", plain).split())
    return " ".join(_CONTRACTIONS.get(word, word) for word in words if word not in _ARTICLES)
