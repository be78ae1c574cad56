"""How much of the references' wording an answer has: BLEU, ROUGE-L and METEOR, each by the library that is kept for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmagent.errors import MissingExtra
from mmagent.evaluation.metrics.words import plain
from mmagent.evaluation.score import Score, mean, pooled


def bleu(answers: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
    """Corpus BLEU from 0 to 1 (Papineni et al. 2002) as sacreBLEU computes it: tokenizer 13a, exponential smoothing."""
    try:
        from sacrebleu.metrics.bleu import BLEU
    except ImportError:
        raise MissingExtra("sacrebleu", "train", "BLEU") from None
    sentence = BLEU()
    counted = [sentence.sentence_score(answer, list(right)) for answer, right in zip(answers, references, strict=True)]
    statistics = [(item.sys_len, item.ref_len, *item.counts, *item.totals) for item in counted]

    def corpus(sums: Sequence[float]) -> float:
        numbers = [int(item) for item in sums]
        half = (len(numbers) - 2) // 2
        correct, total = numbers[2 : 2 + half], numbers[2 + half :]
        score = BLEU.compute_bleu(correct, total, numbers[0], numbers[1], smooth_method="exp")
        return min(1.0, float(score.score) / 100)  # a perfect one is 100.00000000000004

    return pooled(statistics, corpus)


def rouge_l(answers: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
    """The mean ROUGE-L F1 (Lin 2004), without stemming, with the best reference of each.

    The library's words are of Latin letters and digits: an answer in another script has none and scores 0.
    """
    try:
        from rouge_score.rouge_scorer import RougeScorer
    except ImportError:
        raise MissingExtra("rouge-score", "train", "ROUGE-L") from None
    scorer = RougeScorer(["rougeL"])
    pairs = zip(answers, references, strict=True)
    return mean([float(scorer.score_multi(list(right), answer)["rougeL"].fmeasure) for answer, right in pairs])


class _NoSynonyms:
    """A thesaurus without entries, in the place of WordNet."""

    def synsets(self, word: str) -> list[Any]:
        return []


def meteor(answers: Sequence[str], references: Sequence[Sequence[str]], synonyms: Any = None) -> Score:
    """The mean METEOR (Lavie and Agarwal 2007) of its stages exact and stem, with the best reference of each.

    The stage of synonyms needs WordNet, which has to be downloaded: `synonyms` takes nltk's reader of it, or what
    has its method `synsets`. Without it scores are lower than published ones.
    """
    try:
        from nltk.translate.meteor_score import meteor_score
    except ImportError:
        raise MissingExtra("nltk", "train", "METEOR") from None
    thesaurus = synonyms or _NoSynonyms()
    pairs = zip(answers, references, strict=True)
    return mean(
        [
            float(meteor_score([plain(item).split() for item in right], plain(answer).split(), wordnet=thesaurus))
            for answer, right in pairs
        ]
    )
