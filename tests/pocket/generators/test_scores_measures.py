"""What counts as right, and the arithmetic of a table: shares of ceilings, bars, wordings, tasks."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

pytest.importorskip("torch")

from mmagent.evaluation.metrics.frechet import Distance
from mmagent.pocket.generators.scores import measures
from mmagent.pocket.generators.scores.asked import Asked, asked
from mmagent.pocket.generators.scores.media import KINDS
from mmagent.pocket.generators.scores.score import Scores, rows
from mmagent.pocket.judges.facts import NONE, Heard, Seen, Spot, Watched
from mmagent.pocket.judges.report import Confusion
from mmagent.pocket.world import splits, words
from mmagent.pocket.world.scenes import Scene
from mmagent.pocket.world.sounds import Noise
from mmagent.pocket.world.videos import Clip

CAT, FAR_CAT, DOG = Spot("cat", 20, 16, 32), Spot("cat", 20, 40, 32), Spot("dog", 20, 48, 32)
SINGLE = Scene("blue", ("cat",), size="small")
PAIR = Scene("blue", ("cat", "dog"), relation="left of")
TWO = Scene("blue", ("cat",), count=2)


def told(among: tuple[measures.Measure, ...], spec: Any, found: Any) -> dict[str, bool]:
    """What a table counts, without what was not asked about."""
    every = {measure.name: measure.right(spec, found) for measure in among}
    return {name: right for name, right in every.items() if right is not None}


def test_a_picture_is_asked_about_what_its_prompt_says() -> None:
    right = told(measures.PICTURES, SINGLE, Seen("blue", (CAT,)))
    assert right == {"thing": True, "background": True, "size": True, "all together": True}
    right = told(measures.PICTURES, PAIR, Seen("pink", (CAT, DOG)))
    assert right == {"background": False, "two things": True, "relation": True, "all together": False}
    right = told(measures.PICTURES, TWO, Seen("blue", (CAT, DOG)))
    assert right == {"background": True, "count": True, "all together": False}


@pytest.mark.parametrize(
    ("spec", "found", "expected"),
    [
        (SINGLE, Seen("blue", (CAT,)), {"single object": True, "colour of background": True}),
        (SINGLE, Seen(NONE, (CAT,)), {"single object": True, "colour of background": False}),
        (SINGLE, Seen("blue", (DOG,)), {"single object": False, "colour of background": False}),
        (PAIR, Seen("blue", (CAT, DOG)), {"two objects": True, "position": True}),
        (PAIR, Seen("blue", (Spot("dog", 20, 16, 32), FAR_CAT)), {"two objects": True, "position": False}),
        (TWO, Seen("blue", (CAT, FAR_CAT)), {"counting": True}),
        (TWO, Seen("blue", (CAT, DOG)), {"counting": False}),
        (TWO, Seen("blue", (CAT,)), {"counting": False}),
    ],
)
def test_the_tasks_of_geneval_ask_for_the_object_as_well(spec: Scene, found: Seen, expected: dict[str, bool]) -> None:
    assert told(measures.GENEVAL, spec, found) == expected


def test_clips_and_sounds_are_asked_about_motion_times_and_pitch() -> None:
    right = told(measures.CLIPS, Clip("blue", "cat", "left"), Watched("blue", "cat", "right"))
    assert right == {"thing": True, "motion": False, "background": True, "all together": False}
    right = told(measures.SOUNDS, Noise("bell", 2), Heard("bell", 2, "as it is"))
    assert right == {"thing": True, "how often": True, "all together": True}  # nobody asked for a pitch
    right = told(measures.SOUNDS, Noise("bell", 2, "higher"), Heard("bell", 3, "higher"))
    assert right == {"thing": True, "how often": False, "higher/lower": True, "all together": False}


def test_what_was_taken_for_what_is_told_where_one_thing_was_asked_for() -> None:
    assert list(measures.confusions(SINGLE, Seen("pink", (DOG,)))) == [
        ("background", "blue", "pink"), ("thing", "cat", "dog"), ("count", 1, 1), ("size", "small", "small"),
    ]  # fmt: skip
    assert list(measures.confusions(PAIR, Seen("blue", (CAT,)))) == [
        ("background", "blue", "blue"), ("relation", "left of", NONE),
    ]  # fmt: skip
    assert ("motion", "left", NONE) in measures.confusions(Clip("blue", "cat", "left"), Watched("blue", "cat", NONE))


@pytest.mark.parametrize("kind", list(KINDS))
def test_prompts_are_held_out_and_every_other_one_is_in_a_new_wording(kind: str) -> None:
    for name, draw in KINDS[kind].draws.items():
        prompts = asked(name, draw, 12, "some")
        assert prompts == asked(name, draw, 12, "some")
        assert {item.spec for item in prompts}.isdisjoint(item.spec for item in asked(name, draw, 12, "other"))
        assert [item.new for item in prompts] == [False, True] * 6
        assert all(splits.tested(item.spec.combinations) for item in prompts)
        assert len({item.caption for item in prompts}) > 6


def test_new_wordings_are_those_that_no_training_draws() -> None:
    single = KINDS["pictures"].draws["single"]
    new = [item.caption for item in asked("single", single, 40, "some") if item.new]
    assert all(" against " in caption or " with " in caption or caption.startswith("on ") for caption in new)
    random = Random(0)
    known = {words.said(item.spec, random) for item in asked("single", single, 40, "some") for _ in range(20)}
    assert known.isdisjoint(new)


def scored() -> Scores:
    """Ten pictures of one cat: the judge sees eight of the true ones right, and six of those that were made."""
    prompts = [Asked(SINGLE, "a small cat", bool(number % 2)) for number in range(10)]
    right, wrong = Seen("blue", (CAT,)), Seen("blue", (DOG,))
    found = [right if number in (0, 2, 4, 6, 1, 3) else wrong for number in range(10)]
    of_true = [right if number < 8 else wrong for number in range(10)]
    table = Confusion()
    table.add("cat", "dog")
    distance = Distance(3.5, (10, 10), 144, ("few",))
    kind = KINDS["pictures"]
    return Scores(
        10, 5.0, rows(kind.measures, prompts, found, of_true), rows(kind.tasks, prompts, found, of_true),
        distance, Distance(1.25, (10, 10), 144, ()), {"thing": table},
    )  # fmt: skip


def test_a_score_is_a_share_of_what_the_judge_finds_right_in_true_media() -> None:
    found = {row.name: row for row in scored().rows}
    assert found.keys() == {"thing", "background", "size", "all together"}  # nobody asked for the rest
    thing, ground = found["thing"], found["background"]
    assert (thing.right.value, thing.ceiling.value) == (0.6, 0.8)
    assert thing.share == pytest.approx(0.75)
    assert thing.new is not None and (thing.new.value, thing.new.n) == (0.4, 5)
    assert (thing.kept, ground.kept, found["size"].kept) == (False, True, None)


def test_one_bar_can_stand_in_the_place_of_all() -> None:
    prompts = [Asked(SINGLE, "a small cat", False)] * 2
    seen = [Seen("blue", (CAT,))] * 2
    assert {row.bar for row in rows(measures.PICTURES, prompts, seen, seen, 0.98)} == {0.98}


def test_a_table_can_be_read_and_kept() -> None:
    text = "\n".join(scored().lines())
    assert "10 made in 5 s of processor time, 0.500 s each" in text
    line = next(line for line in text.splitlines() if line.startswith("  thing "))
    assert line.split() == ["thing", "0.600", "[0.313,", "0.832]", "10", "0.800", "0.750", "0.90", "missed", "0.400"]
    assert "overall              0.600" in text  # of two tasks
    assert "features: 3.50, of true media drawn anew 1.25 (width 144)\n  few" in text
    assert "cat                taken for dog                    1" in text
    told: Any = scored().data()
    assert told["rows"][0]["share"] == pytest.approx(0.75)
    assert told["confusion"] == {"thing": [["cat", "dog", 1]]}
    assert told["frechet"] == {"value": 3.5, "true": 1.25, "n": (10, 10)}
