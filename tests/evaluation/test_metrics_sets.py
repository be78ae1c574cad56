"""Scores with their intervals, retrieval, Fréchet distance and routing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmagent.errors import IntakeError
from mmagent.evaluation.metrics import cosine, frechet, retrieval, routing
from mmagent.evaluation.score import Score, mean, ratio, share, wilson


def test_the_interval_of_a_share_is_wilsons() -> None:
    # Newcombe 1998, table I, method 3: 81 of 263, and 0 of 20.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_of_a_share_holds_it(counts: tuple[int, int]) -> None:
    low, high = wilson(*counts)
    assert 0 <= low <= counts[0] / counts[1] <= high <= 1


def test_a_share_of_nothing_is_no_number() -> None:
    assert share(0, 0) is None and ratio([]) is None and ratio([(1, 0)]) is None


def test_the_bootstrap_interval_of_a_mean_is_near_that_of_the_normal_law() -> None:
    values = np.random.default_rng(3).normal(5, 2, 400).tolist()
    score = mean(values)
    half = 1.96 * np.std(values) / 20
    assert score.low == pytest.approx(score.value - half, abs=0.05)
    assert score.high == pytest.approx(score.value + half, abs=0.05)
    assert mean(values) == score, "the same values give the same interval"


def test_one_record_has_no_interval() -> None:
    assert mean([0.5]) == Score(0.5, 1)
    assert str(mean([0.5])) == "0.500" and str(share(1, 2)) == "0.500 [0.095, 0.905]"


def test_recall_and_map_by_hand() -> None:
    likeness = [[0.9, 0.8, 0.1], [0.7, 0.6, 0.1], [0.3, 0.2, 0.9]]
    right = [[1, 0, 0], [0, 1, 1], [1, 0, 0]]
    scores = {name: score.value for name, score in retrieval(likeness, right, ks=(1, 2)).items()}
    # Average precisions: 1; (1/2 + 2/3) / 2; 1/2.
    assert scores == pytest.approx({"recall@1": 1 / 3, "recall@2": 1.0, "map": (1 + 7 / 12 + 1 / 2) / 3})


def test_a_matrix_that_tells_nothing_apart_gets_nothing_for_it() -> None:
    assert retrieval(np.zeros((4, 4)), ks=(1, 4))["recall@1"].value == 0.0


@settings(deadline=None, max_examples=25)
@given(st.integers(2, 6), st.randoms(use_true_random=False))
def test_retrieval_does_not_depend_on_the_order_of_candidates(n: int, random: object) -> None:
    rng = np.random.default_rng(n)
    likeness, right = rng.normal(size=(n, n)), np.eye(n, dtype=bool)
    order = rng.permutation(n)
    assert retrieval(likeness, right) == retrieval(likeness[:, order], right[:, order])


def test_a_perfect_matrix_has_recall_and_map_of_one() -> None:
    rows = np.random.default_rng(0).normal(size=(12, 5))
    assert {score.value for score in retrieval(cosine(rows, rows * 3)).values()} == {1.0}


def test_a_query_without_a_right_candidate_is_refused() -> None:
    with pytest.raises(IntakeError, match="every query needs a right candidate"):
        retrieval(np.eye(2), np.zeros((2, 2)))


def test_the_frechet_distance_of_gaussians_is_the_formulas() -> None:
    rng = np.random.default_rng(0)
    raw = rng.normal(size=(2000, 3))
    white = np.linalg.qr(raw - raw.mean(axis=0))[0] * np.sqrt(1999)  # covariance exactly 1, mean 0
    found = frechet(white * [1, 2, 3] + [1, 0, 0], white * [2, 2, 1])
    assert found.value == pytest.approx(1 + (1 - 2) ** 2 + 0 + (3 - 1) ** 2)


def test_the_frechet_distance_agrees_with_the_matrix_square_root() -> None:
    rng = np.random.default_rng(1)
    one, other = rng.normal(size=(300, 6)) @ rng.normal(size=(6, 6)), rng.normal(size=(200, 6)) + 0.5
    covariances = [np.cov(rows, rowvar=False) for rows in (one, other)]
    roots = np.sqrt(np.abs(np.linalg.eigvals(covariances[0] @ covariances[1]))).sum()
    apart = np.square(one.mean(axis=0) - other.mean(axis=0)).sum()
    expected = apart + sum(np.trace(item) for item in covariances) - 2 * roots
    assert frechet(one, other).value == pytest.approx(expected)


@settings(deadline=None, max_examples=20)
@given(st.integers(2, 30), st.integers(2, 30), st.integers(1, 40))
def test_the_frechet_distance_is_symmetric_not_negative_and_nothing_to_itself(n: int, m: int, width: int) -> None:
    rng = np.random.default_rng(n * 1000 + m)
    one, other = rng.normal(size=(n, width)), rng.normal(size=(m, width))
    there, back = frechet(one, other).value, frechet(other, one).value
    assert there == pytest.approx(back) and there >= 0
    assert frechet(one, one[rng.permutation(n)]).value == pytest.approx(0, abs=1e-9 * width)


def test_the_frechet_distance_warns_of_few_media() -> None:
    rows = np.random.default_rng(0).normal(size=(5, 8))
    assert len(frechet(rows, rows).warnings) == 2
    assert len(frechet(rows[:, :2], rows[:, :2]).warnings) == 1
    with pytest.raises(IntakeError, match="width 8 and 2"):
        frechet(rows, rows[:, :2])


def test_routing_by_hand() -> None:
    wanted = [["image"], ["image", "speech"], ["speech", "image"], [], []]
    made = [["image"], ["speech", "image"], ["speech", "audio", "image"], [], ["video"]]
    scores = {name.removeprefix("routing."): score.value for name, score in routing(wanted, made).items()}
    assert scores == pytest.approx(
        {
            "precision": 5 / 7,
            "recall": 5 / 5,
            "order": 1 / 2,
            "exact": 2 / 5,
            "unasked": 1 / 2,
            "precision.audio": 0.0,
            "precision.image": 1.0,
            "recall.image": 1.0,
            "precision.speech": 1.0,
            "recall.speech": 1.0,
            "precision.video": 0.0,
        }
    )


def test_order_is_not_asked_of_requests_that_did_not_get_all() -> None:
    assert "routing.order" not in routing([["image", "speech"]], [["speech"]])
    assert routing([["image", "image"]], [["image", "image"]])["routing.exact"].value == 1.0
