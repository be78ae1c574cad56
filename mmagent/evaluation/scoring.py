"""Metrics by name, over predictions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from mmagent.errors import IntakeError
from mmagent.evaluation import metrics as of
from mmagent.evaluation.prediction import Prediction
from mmagent.evaluation.score import Score, known

WORDS: Mapping[str, Callable[[Sequence[str], Sequence[Sequence[str]]], Score | None]] = {
    "vqa": of.vqa_accuracy,
    "exact-match": of.exact_match,
    "f1": of.token_f1,
    "bleu": of.bleu,
    "rouge-l": of.rouge_l,
    "meteor": of.meteor,
    "cider": of.cider,
    "wer": of.wer,
    "cer": of.cer,
}
"""Of answers and references; predictions without a reference are left out."""

NAMES = (*WORDS, "presence", "routing")


def check(names: Sequence[str]) -> None:
    """IntakeError for a name that no metric has, with those that there are."""
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        raise IntakeError(f"no metric is called {unknown[0]!r}; there are {', '.join(NAMES)}")


def score(predictions: Sequence[Prediction], names: Sequence[str]) -> dict[str, Score]:
    """The scores of these metrics. One that could not be answered counts as an answer without words.

    IntakeError for an unknown metric, and for one that has nothing to score.
    """
    check(names)
    told = [item for item in predictions if item.references]
    answers, references = [item.answer for item in told], [item.references for item in told]
    scores: dict[str, Score] = {}
    for name in names:
        if name == "routing":
            found = of.routing([item.wanted for item in predictions], [item.made for item in predictions])
        elif not told:
            raise IntakeError(f"{name} needs references, of which the {len(predictions)} predictions have none")
        elif name == "presence":
            found = of.presence(answers, references)
        else:
            found = known({name: WORDS[name](answers, references)})
        if not found:
            raise IntakeError(f"{name} has nothing to score in {len(predictions)} predictions")
        scores |= found
    return scores
