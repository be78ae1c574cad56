"""Word and character error rates of what was heard or read: the edits that lead to the reference, over its length."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mmagent.errors import MissingExtra
from mmagent.evaluation.metrics.words import plain
from mmagent.evaluation.score import Score, ratio


def wer(answers: Sequence[str], references: Sequence[Sequence[str]]) -> Score | None:
    """Wrong, missing and superfluous words over the words of the references; above 1 if more was said than is there.

    Case and punctuation do not count. Of several references the one with the lowest rate is taken.
    """
    jiwer = _library()
    return _rate(answers, references, lambda right, said: jiwer.process_words(right, said))


def cer(answers: Sequence[str], references: Sequence[Sequence[str]]) -> Score | None:
    """The same over characters, spaces between words among them."""
    jiwer = _library()
    return _rate(answers, references, lambda right, said: jiwer.process_characters(right, said))


def _rate(
    answers: Sequence[str], references: Sequence[Sequence[str]], align: Callable[[str, str], Any]
) -> Score | None:
    parts = []
    for answer, right in zip(answers, references, strict=True):
        said = plain(answer)
        counted = [_errors(align(reference, said)) for item in right if (reference := plain(item))]
        if counted:
            parts.append(min(counted, key=lambda found: found[0] / found[1]))
    return ratio(parts)


def _errors(aligned: Any) -> tuple[float, float]:
    """How many errors in how many words, or characters, of the reference."""
    kept = aligned.hits + aligned.substitutions + aligned.deletions
    return aligned.substitutions + aligned.deletions + aligned.insertions, kept


def _library() -> Any:
    try:
        import jiwer
    except ImportError:
        raise MissingExtra("jiwer", "train", "word and character error rates") from None
    return jiwer
