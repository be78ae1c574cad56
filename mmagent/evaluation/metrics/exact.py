"""Exact match and token F1, as SQuAD's evaluation defines them (Rajpurkar et al. 2016)."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence

from mmagent.evaluation.score import Score, mean, share

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def exact_match(answers: Sequence[str], references: Sequence[Sequence[str]]) -> Score | None:
    """The share of answers that, normalised, are one of their references."""
    hits = sum(
        any(normal(answer) == normal(item) for item in right) for answer, right in zip(answers, references, strict=True)
    )
    return share(hits, len(answers))


def token_f1(answers: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
    """The mean of the harmonic mean of precision and recall over words, with the best reference of each."""
    pairs = zip(answers, references, strict=True)
    return mean([max(_f1(normal(answer).split(), normal(item).split()) for item in right) for answer, right in pairs])


def normal(text: str) -> str:
    """Small letters, without punctuation, English articles and superfluous space.

    >>> normal("The  Cat's hat.")
    'cats hat'
    """
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def _f1(answer: list[str], reference: list[str]) -> float:
    if not answer or not reference:
        return float(answer == reference)
    common = (Counter(answer) & Counter(reference)).total()
    return 2 * common / (len(answer) + len(reference))
