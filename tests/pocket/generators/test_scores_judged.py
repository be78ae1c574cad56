"""Scores by the shipped judges: true media come to the ceiling, media of other prompts fall to chance."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import numpy as np
import pytest

pytest.importorskip("torch")

from mmagent.pocket.generators.scores import judging
from mmagent.pocket.generators.scores.asked import Asked
from mmagent.pocket.generators.scores.media import KINDS
from mmagent.pocket.generators.scores.score import Scores, score
from mmagent.pocket.judges.facts import Seen

pytestmark = pytest.mark.weights

MANY = {"pictures": 25, "clips": 16, "sounds": 50}


def scored(name: str, shift: int) -> Scores:
    """The scores of a generator that knows the world by heart, and gives each prompt what another asked for."""
    kind = KINDS[name]

    def make(prompts: Sequence[Asked], true: judging.Array) -> judging.Array:
        random = Random(1)
        drawn = [kind.render(kind.again(item.spec, random)) for item in prompts]
        return np.roll(np.stack(drawn), shift, axis=0)

    return score(kind, make, MANY[name], "some")


@pytest.mark.parametrize("name", list(KINDS))
def test_what_is_right_comes_to_the_ceiling(name: str) -> None:
    found = scored(name, 0)
    assert all(row.ceiling.value >= 0.9 for row in found.rows)
    assert all(row.share >= 0.9 for row in found.rows)
    assert all(row.kept is not False for row in found.rows)
    assert found.distance.value < 1.5 * found.apart.value


@pytest.mark.parametrize("name", list(KINDS))
def test_what_is_made_of_other_prompts_falls_to_chance(name: str) -> None:
    found = {row.name: row.share for row in scored(name, 1).rows}
    guessed = {"background": 0.45, "count": 0.8, "size": 0.8, "motion": 0.45, "how often": 0.6, "higher/lower": 0.6}
    for measure, share in found.items():
        assert share <= guessed.get(measure, 0.2), measure


def test_the_distance_sees_that_all_pictures_are_alike_though_each_is_true() -> None:
    kind = KINDS["pictures"]

    def same(prompts: Sequence[Asked], true: judging.Array) -> judging.Array:
        return true[:1].repeat(len(true), axis=0)

    found = score(kind, same, 20, "some")
    assert found.distance.value > 2 * found.apart.value


def test_a_picture_without_anything_has_features_of_its_ground_alone() -> None:
    judge = judging.pictures()
    seen, features = judge(np.full((2, 64, 64, 3), (110, 165, 240), np.uint8))
    assert seen == [Seen("blue", ())] * 2
    assert features.shape == (2, 144)
    assert np.abs(features[:, :48]).max() > 0
    assert not features[:, 48:].any()
