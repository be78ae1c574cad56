"""What answers to yes/no questions about presence tell of hallucination: POPE's measures (Li et al. 2023)."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from mmagent.evaluation.metrics.words import plain
from mmagent.evaluation.score import Score, known, pooled, share

_SENTENCE = re.compile(r"[.\n]")
_CLEAR = re.compile(r"\b(yes|no|not)\b|n't\b", re.IGNORECASE)


def presence(answers: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, Score]:
    """Accuracy, and precision, recall and F1 of "yes"; `yes` is the share of answers that say it, `unclear` of neither.

    A model that sees things that are not there has high recall, low precision and says yes to more than half.
    Questions whose reference is neither yes nor no are left out.
    """
    asked = [(answer, right[0].strip().lower()) for answer, right in zip(answers, references, strict=True)]
    pairs = [(says_yes(answer), right == "yes") for answer, right in asked if right in ("yes", "no")]
    said = [found is True for found, _ in pairs]
    hits = sum(found and true for found, (_, true) in zip(said, pairs))
    # True and false "yes", and "yes" that was not said.
    counts = [(one and true, one and not true, true and not one) for one, (_, true) in zip(said, pairs)]
    scores = {
        "accuracy": share(sum(found is true for found, true in pairs), len(pairs)),
        "precision": share(hits, sum(said)),
        "recall": share(hits, sum(true for _, true in pairs)),
        "f1": pooled([[float(one) for one in item] for item in counts], _f1) if any(map(any, counts)) else None,
        "yes": share(sum(said), len(pairs)),
        "unclear": share(
            sum(not _CLEAR.search(answer) for answer, right in asked if right in ("yes", "no")), len(pairs)
        ),
    }
    return {f"presence.{name}": score for name, score in known(scores).items()}


def says_yes(answer: str) -> bool | None:
    """Whether the first sentence has no "no" and no "not": the rule by which POPE reads answers. None of no words.

    >>> says_yes("Yes, there is."), says_yes("There is not. Yes."), says_yes("I see a dog"), says_yes("")
    (True, False, True, None)
    """
    words = plain(next((part for part in _SENTENCE.split(answer) if plain(part)), "")).split()
    return not any(word in ("no", "not") or word.endswith("n't") for word in words) if words else None


def _f1(sums: Sequence[float]) -> float:
    hits, false, missed = sums
    return 2 * hits / (2 * hits + false + missed) if hits + false + missed else math.nan
