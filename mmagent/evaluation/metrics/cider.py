"""CIDEr-D: how much a caption says what people agree on (Vedantam, Zitnick and Parikh 2015, section 5).

Words that occur with few pictures weigh more. The weights come from the references of the records that are scored, as
in COCO's evaluation, so a score belongs to its set: of a single record it is 0, because no word tells it from others.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from mmagent.evaluation.metrics.words import plain
from mmagent.evaluation.score import Score, mean

N = 4
"""The longest n-grams."""
SIGMA = 6.0
"""Words by which the lengths may differ before it counts."""
SCALE = 10.0

Grams = Counter[tuple[str, ...]]


def cider(answers: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
    """The mean CIDEr-D, from 0 to 10. Words are cut at everything that is no letter or digit, and not stemmed.

    Published scores use the PTB tokenizer of Stanford's CoreNLP, which differs in rare words alone.
    """
    counted = [[_grams(item) for item in right] for right in references]
    seen: Grams = Counter()
    for grams in counted:
        seen.update({gram for reference in grams for gram in reference})
    n = math.log(max(1, len(counted)))
    weights = {gram: n - math.log(times) for gram, times in seen.items()}
    values = []
    for answer, right in zip(answers, counted, strict=True):
        said = _grams(answer)
        # A word of no reference has the weight of one that occurs once, as in COCO's evaluation.
        values.append(sum(_similarity(said, item, weights, n) for item in right) / len(right))
    return mean(values)


def _grams(text: str) -> Grams:
    words = plain(text).split()
    return Counter(tuple(words[at : at + n]) for n in range(1, N + 1) for at in range(len(words) - n + 1))


def _similarity(answer: Grams, reference: Grams, weights: dict[tuple[str, ...], float], most: float) -> float:
    """The mean over n of the cosine of weighted n-gram counts, those of the answer clipped to the reference's."""
    dot, of_answer, of_reference = [0.0] * N, [0.0] * N, [0.0] * N
    for gram, times in answer.items():
        weight = weights.get(gram, most)
        dot[len(gram) - 1] += weight * weight * min(times, reference[gram]) * reference[gram]
        of_answer[len(gram) - 1] += (weight * times) ** 2
    for gram, times in reference.items():
        of_reference[len(gram) - 1] += (weights[gram] * times) ** 2
    cosines = [
        product / math.sqrt(one * other) if one and other else 0.0
        for product, one, other in zip(dot, of_answer, of_reference)
    ]
    apart = _length(answer) - _length(reference)
    return SCALE * math.exp(-apart * apart / (2 * SIGMA * SIGMA)) * sum(cosines) / N


def _length(grams: Grams) -> int:
    return sum(times for gram, times in grams.items() if len(gram) == 1)
