"""What judges find, against what was asked for: right where it is the same, and wrong in the one thing that is not."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmagent.pocket.judges.facts import NONE, Felt, Heard, Seen, Spot, Watched
from mmagent.pocket.judges.verdict import verdict
from mmagent.pocket.world import scenes, solids, sounds, videos
from mmagent.pocket.world.catalogue import catalogue

seeds = st.integers(0, 2**32 - 1)


def truth(scene: scenes.Scene) -> Seen:
    """What a judge without fault sees in a scene."""
    return Seen(scene.background, tuple(Spot(item.name, item.size, item.x, item.y) for item in scene.placed))


def other(name: str) -> str:
    """Another thing."""
    return next(thing.name for thing in catalogue().things if thing.name != name)


@given(seeds, st.sampled_from(scenes.KINDS))
def test_a_scene_seen_as_it_is_is_right(seed: int, kind: scenes.Kind) -> None:
    scene = scenes.draw(Random(seed), kind)
    asked = {"single": {"count", "size"}, "pair": {"relation"}, "count": {"count"}}[kind]
    assert verdict(scene, truth(scene)) == dict.fromkeys({"thing", "background", *asked}, True)


@given(seeds, st.sampled_from(scenes.KINDS))
def test_what_is_missing_and_what_is_too_much_is_wrong(seed: int, kind: scenes.Kind) -> None:
    scene = scenes.draw(Random(seed), kind)
    seen = truth(scene)
    fewer = verdict(scene, replace(seen, spots=seen.spots[1:]))
    nonsense = verdict(scene, replace(seen, spots=(*seen.spots, Spot(NONE, 16, 5, 5))))
    for found in (fewer, nonsense):
        assert not all(found.values())
        assert found["background"]
    assert not nonsense["thing"]
    assert not fewer["relation" if scene.relation else "count"]


@given(seeds, st.sampled_from(scenes.KINDS))
def test_another_thing_and_another_background_are_wrong(seed: int, kind: scenes.Kind) -> None:
    scene = scenes.draw(Random(seed), kind)
    seen = truth(scene)
    changed = replace(seen.spots[0], name=other(seen.spots[0].name))
    found = verdict(scene, Seen(NONE, (changed, *seen.spots[1:])))
    assert not found["thing"]
    assert not found["background"]


@given(seeds)
def test_a_relation_turns_round_with_the_things(seed: int) -> None:
    scene = scenes.draw(Random(seed), "pair")
    seen, (first, second) = truth(scene), scene.things
    assert seen.relation(first, second) == scene.relation
    assert scene.relation is not None
    assert seen.relation(second, first) == {"left of": "right of", "above": "below"}[scene.relation]
    stranger = next(thing.name for thing in catalogue().things if thing.name not in scene.things)
    assert seen.relation(first, stranger) == NONE


def test_things_that_lie_neither_beside_nor_above_each_other_plainly_have_no_relation() -> None:
    near = Seen("blue", (Spot("cat", 20, 30, 30), Spot("dog", 20, 34, 36)))
    across = Seen("blue", (Spot("cat", 20, 16, 16), Spot("dog", 20, 48, 48.5)))
    assert near.relation("cat", "dog") == across.relation("cat", "dog") == NONE


def test_a_picture_has_one_thing_or_none() -> None:
    assert Seen("blue", (Spot("cat", 20, 16, 30), Spot("cat", 20, 48, 30))).thing == "cat"
    assert Seen("blue", (Spot("cat", 20, 16, 30), Spot("dog", 20, 48, 30))).thing == NONE
    assert Seen("blue", ()).thing == Seen("blue", ()).size == NONE


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (videos.Clip("blue", "cat", "up"), Watched("blue", "cat", "up")),
        (sounds.Noise("bell", 2, "higher"), Heard("bell", 2, "higher")),
        (solids.Cloud("bell"), Felt("bell")),
    ],
)
def test_videos_sounds_and_solids_are_right_attribute_by_attribute(asked: Any, found: Any) -> None:
    right = verdict(asked, found)
    assert all(right.values())
    for attribute in right:
        wrong = verdict(asked, replace(found, **{attribute: 3 if attribute == "count" else NONE}))
        assert [name for name, hit in wrong.items() if not hit] == [attribute]


def test_a_judge_of_another_modality_is_refused() -> None:
    with pytest.raises(TypeError, match="a Cloud was asked for, and Heard is of another modality"):
        verdict(solids.Cloud("bell"), Heard("bell", 1, "as it is"))
