"""Metrics over words, against published and hand-computed values, and the laws that all of them keep."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmagent.errors import IntakeError
from mmagent.evaluation.metrics import (
    bleu,
    cer,
    cider,
    exact_match,
    meteor,
    presence,
    rouge_l,
    token_f1,
    vqa_accuracy,
    wer,
)
from mmagent.evaluation.metrics.vqa import accuracy, vqa_normal
from mmagent.evaluation.metrics.words import plain
from mmagent.evaluation.score import Score

Metric = Callable[[Sequence[str], Sequence[Sequence[str]]], Score | None]


def value(score: Score | None) -> float:
    assert score is not None
    return score.value


@pytest.mark.parametrize(
    ("said", "expected"), [("red", 1.0), ("blue", 0.9), ("green", 0.6), ("grey", 0.3), ("pink", 0.0)]
)
def test_vqa_accuracy_leaves_each_person_out_in_turn(said: str, expected: float) -> None:
    people = ["red"] * 4 + ["blue"] * 3 + ["green"] * 2 + ["grey"]
    assert accuracy(said, people) == pytest.approx(expected)


def test_vqa_accuracy_of_one_reference_is_exact_match() -> None:
    assert value(vqa_accuracy(["The cat.", "dog"], [["cat"], ["cat"]])) == 0.5


def test_vqa_answers_are_compared_as_the_challenge_describes() -> None:
    assert vqa_normal("It's  the TWO dogs'") == "it's 2 dogs'"
    assert vqa_normal("1,000") == "1000"
    assert vqa_normal("3.5 feet.") == "3.5 feet"
    assert vqa_normal("black/white") == "black white"
    assert vqa_normal("dont") == vqa_normal("don't")
    assert vqa_normal("None") == vqa_normal("zero") == "0"


def test_token_f1_takes_the_best_reference() -> None:
    # Two of three words are right, and two of the reference's four are said: 2 · 2 / (3 + 4).
    assert value(token_f1(["red sports car"], [["bicycle", "big red fast car"]])) == pytest.approx(4 / 7)
    assert value(exact_match(["The Cat!"], [["dog", "a cat"]])) == 1.0


def test_bleu_is_that_of_its_paper() -> None:
    # Papineni et al. 2002, example 1: candidate 1 against three references.
    candidate = "It is a guide to action which ensures that the military always obeys the commands of the party ."
    references = [
        "It is a guide to action that ensures that the military will forever heed Party commands .",
        "It is the guiding principle which guarantees the military forces always being under the command of the Party .",
        "It is the practical guide for the army always to heed the directions of the party .",
    ]
    precisions = (18 / 19, 11 / 18, 8 / 17, 5 / 16)
    assert value(bleu([candidate], [references])) == pytest.approx(math.prod(precisions) ** 0.25)


def test_bleu_pools_counts_over_the_corpus_and_takes_as_many_references_as_there_are() -> None:
    answers = ["the cat sat on the mat", "there is a dog here"]
    references = [["the cat sat on the mat", "a cat is on the mat"], ["there is a dog outside"]]
    # Matches 6+4, 5+3, 4+2, 3+1 of 11, 9, 7, 5 n-grams; no brevity penalty.
    expected = math.exp(sum(map(math.log, (10 / 11, 8 / 9, 6 / 7, 4 / 5))) / 4)
    assert value(bleu(answers, references)) == pytest.approx(expected)


def test_rouge_l_is_that_of_its_paper() -> None:
    # Lin 2004, section 3.1: "police kill the gunman" shares a subsequence of 2, "police killed ... the" of 3 words.
    reference = ["police killed the gunman"]
    assert value(rouge_l(["police kill the gunman"], [reference])) == pytest.approx(0.75)
    assert value(rouge_l(["the gunman kill police"], [reference])) == pytest.approx(0.5)


def test_meteor_is_that_of_its_paper_for_what_needs_no_wordnet() -> None:
    # Six of six words match in one chunk: penalty 0.5 · (1/6)³; five of six in two: see Lavie and Agarwal 2007.
    assert value(meteor(["the cat sat on the mat"], [["the cat sat on the mat"]])) == pytest.approx(1 - 0.5 / 216)
    p, r = 5 / 6, 5 / 6
    f = p * r / (0.9 * p + 0.1 * r)
    assert value(meteor(["the cat sat on the rug"], [["the cat sat on the mat"]])) == pytest.approx(
        f * (1 - 0.5 * (1 / 5) ** 3)
    )


def test_meteor_matches_stems_and_takes_synonyms_that_it_is_given() -> None:
    class Lemma:
        def __init__(self, name: str) -> None:
            self._name = name

        def name(self) -> str:
            return self._name

    class Synset:
        def lemmas(self) -> list[Lemma]:
            return [Lemma("rug"), Lemma("mat")]

    class Thesaurus:
        def synsets(self, word: str) -> list[Synset]:
            return [Synset()] if word == "rug" else []

    assert value(meteor(["cats jumped"], [["cat jumping"]])) == value(meteor(["cat jumps"], [["cat jumps"]]))
    with_synonyms = value(meteor(["on the rug"], [["on the mat"]], Thesaurus()))
    assert with_synonyms > value(meteor(["on the rug"], [["on the mat"]]))


def test_cider_weighs_words_by_how_few_pictures_have_them() -> None:
    references = [["a cat"], ["a dog"]]
    # "a" is in both references and weighs nothing; what is left is the same noun, or another.
    assert value(cider(["a cat", "a cat"], references)) == pytest.approx(10 * (1 + 1) / 4 / 2)
    assert value(cider(["a dog", "a cat"], references)) == 0.0


def test_cider_d_clips_repeated_words_and_punishes_other_lengths() -> None:
    references = [["red cat"], ["blue dog"]]
    twice = value(cider(["red red cat cat", "blue dog"], references))
    # Unigrams: min(2, 1) · 1 twice over √(4 + 4) √2 = ½; bigrams: "red cat" of three, √3; lengths differ by two.
    expected = 10 * math.exp(-4 / 72) * (0.5 + 1 / math.sqrt(3)) / 4
    assert twice == pytest.approx((expected + 10 * 2 / 4) / 2)


def test_error_rates_are_edits_over_the_length_of_the_reference() -> None:
    assert value(wer(["the cat sat", "a b"], [["the cat sat down"], ["a b c d"]])) == pytest.approx(3 / 8)
    assert value(wer(["hello there you", "x"], [["hello"], ["x"]])) == pytest.approx(2 / 2)
    assert value(cer(["kitten"], [["sitting"]])) == pytest.approx(3 / 7)


def test_error_rates_take_the_nearest_reference_and_leave_out_empty_ones() -> None:
    assert value(wer(["a cat"], [["two dogs here", "A cat!"]])) == 0.0
    assert wer(["anything"], [["…"]]) is None


def test_words_of_other_scripts_stay_whole() -> None:
    assert plain("नमस्ते, दुनिया!") == "नमस्ते दुनिया"
    assert value(wer(["नमस्ते दुनिया"], [["नमस्ते, दुनिया!"]])) == 0.0


def test_presence_counts_what_is_seen_and_is_not_there() -> None:
    answers = ["Yes.", "Yes, a dog", "No, there is not", "I do see it", "", "no"]
    right = [["yes"], ["no"], ["yes"], ["no"], ["no"], ["no"]]
    scores = {name.removeprefix("presence."): score.value for name, score in presence(answers, right).items()}
    assert scores == pytest.approx(
        {"accuracy": 2 / 6, "precision": 1 / 3, "recall": 1 / 2, "f1": 0.4, "yes": 3 / 6, "unclear": 2 / 6}
    )


def test_presence_of_a_model_that_never_says_yes_has_no_precision() -> None:
    scores = presence(["no", "no"], [["yes"], ["no"]])
    assert "presence.precision" not in scores and scores["presence.recall"].value == 0.0


MEANS: list[Metric] = [exact_match, token_f1, vqa_accuracy, bleu, rouge_l, meteor, cider]
WORDS = st.lists(
    st.sampled_from(["red", "blue", "cat", "dog", "on", "the", "mat", "two", "runs"]), min_size=4, max_size=8
).map(" ".join)
SETS = st.lists(st.tuples(WORDS, st.lists(WORDS, min_size=1, max_size=3)), min_size=1, max_size=6)


@pytest.mark.parametrize("metric", [*MEANS, wer, cer])
@settings(max_examples=15, deadline=None)
@given(pairs=SETS, data=st.data())
def test_the_order_of_the_records_does_not_matter(
    metric: Metric, pairs: list[tuple[str, list[str]]], data: st.DataObject
) -> None:
    again = data.draw(st.permutations(pairs))
    one, other = (value(metric([a for a, _ in items], [r for _, r in items])) for items in (pairs, again))
    assert one == pytest.approx(other)


@pytest.mark.parametrize("metric", [exact_match, token_f1, vqa_accuracy, bleu, rouge_l])
@settings(max_examples=15, deadline=None)
@given(pairs=SETS)
def test_what_is_said_as_the_reference_says_it_scores_one_and_nothing_scores_more(
    metric: Metric, pairs: list[tuple[str, list[str]]]
) -> None:
    references = [right for _, right in pairs]
    assert value(metric([right[0] for right in references], references)) == pytest.approx(1.0)
    score = metric([answer for answer, _ in pairs], references)
    assert score is not None and 0 <= score.value <= 1
    assert score.low is None or score.high is None or 0 <= score.low <= score.value <= score.high <= 1


@pytest.mark.parametrize("metric", [wer, cer])
def test_no_errors_are_none(metric: Metric) -> None:
    assert value(metric(["It is ten."], [["it is ten"]])) == 0.0


@pytest.mark.parametrize("metric", [token_f1, vqa_accuracy, bleu, cider])
def test_nothing_cannot_be_scored(metric: Metric) -> None:
    with pytest.raises(IntakeError, match="nothing to score"):
        metric([], [])


@settings(max_examples=20, deadline=None)
@given(pairs=SETS)
def test_bleu_of_summed_counts_is_the_librarys_corpus_bleu(pairs: list[tuple[str, list[str]]]) -> None:
    from sacrebleu.metrics.bleu import BLEU

    answers = [answer.rsplit(" ", 1)[0] for answer, _ in pairs]  # shorter ones, so that brevity counts
    most = max(len(right) for _, right in pairs)
    streams: list[Any] = [[right[at] if at < len(right) else None for _, right in pairs] for at in range(most)]
    expected = BLEU().corpus_score(answers, streams).score / 100
    assert value(bleu(answers, [right for _, right in pairs])) == pytest.approx(min(1.0, expected))
