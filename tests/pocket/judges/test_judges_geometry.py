"""What is told without learning: how a thing moves, and on what it lies."""

from __future__ import annotations

from itertools import combinations
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmagent.pocket.judges.facts import NONE, Spot
from mmagent.pocket.judges.pictures.ground import background
from mmagent.pocket.judges.pictures.motion import motion
from mmagent.pocket.world import videos
from mmagent.pocket.world.catalogue import catalogue

seeds = st.integers(0, 2**32 - 1)
GROUNDS = catalogue().backgrounds


def track(seed: int, kind: videos.Motion, off: float = 0.0) -> list[Spot | None]:
    """Where a thing of the world that moves so is in each frame, told wrong by up to so many pixels."""
    random = Random(seed)
    clip = videos.arranged(videos.Clip("blue", "cat", kind), random)
    return [
        Spot("cat", item.size * (1 + random.uniform(-off, off) / 20), item.x + random.uniform(-off, off), item.y)
        for item in clip.frames
    ]


@given(seeds, st.sampled_from(videos.MOTIONS))
def test_every_motion_of_the_world_is_told_though_places_are_not_exact(seed: int, kind: videos.Motion) -> None:
    assert motion(track(seed, kind, off=2.0)) == kind


@given(seeds, st.sampled_from(videos.MOTIONS), st.sets(st.integers(0, 7), max_size=2))
def test_a_thing_may_be_lost_in_two_frames(seed: int, kind: videos.Motion, lost: set[int]) -> None:
    assert motion([None if number in lost else spot for number, spot in enumerate(track(seed, kind))]) == kind


@given(seeds, st.sampled_from([("left", "right"), ("up", "down"), ("grows", "shrinks")]))
def test_a_motion_backwards_is_its_opposite(seed: int, pair: tuple[videos.Motion, str]) -> None:
    assert motion(track(seed, pair[0])[::-1]) == pair[1]


@given(seeds, st.sampled_from(videos.MOTIONS))
def test_what_stands_still_jumps_about_or_is_hardly_there_has_no_motion(seed: int, kind: videos.Motion) -> None:
    moving = track(seed, kind)
    assert motion(moving[:1] * 8) == NONE
    assert motion([moving[number] for number in (0, 7, 2, 5, 4, 3, 6, 1)]) == NONE
    assert motion([*moving[:4], None, None, None, None]) == NONE
    assert motion([None] * 8) == NONE


def test_what_goes_right_in_leaps_up_and_down_does_not_go_right() -> None:
    assert motion([Spot("cat", 20, 12 + 5 * step, 32 + 8 * (-1) ** step) for step in range(8)]) == NONE


def test_what_goes_aslant_has_none_of_the_motions() -> None:
    assert motion([Spot("cat", 20, 12 + 5 * step, 12 + 5 * step) for step in range(8)]) == NONE


@given(seeds, st.sampled_from(sorted(GROUNDS)))
def test_a_background_is_known_in_every_shade_with_noise_and_things_on_it(seed: int, name: str) -> None:
    chance = np.random.default_rng(seed)
    picture = np.empty((64, 64, 3))
    picture[...] = np.add(GROUNDS[name], chance.integers(-6, 7, 3))
    picture += chance.normal(0, 5, picture.shape)
    picture[14:54, 8:48] = (0, 60, 20)
    assert background(picture.clip(0, 255).astype(np.uint8), [Spot("cat", 40, 28, 34)]) == name


@pytest.mark.parametrize("pair", list(combinations(sorted(GROUNDS), 2)), ids="-".join)
def test_a_colour_between_two_backgrounds_and_both_at_once_are_none(pair: tuple[str, str]) -> None:
    colours = [np.asarray(GROUNDS[name], np.uint8) for name in pair]
    between = np.broadcast_to((colours[0] // 2 + colours[1] // 2), (64, 64, 3))
    halves = np.broadcast_to(colours[0], (64, 64, 3)).copy()
    halves[:, 32:] = colours[1]
    assert pair[0] != background(between, ()) != pair[1]
    assert background(halves, ()) == NONE


def test_a_thing_that_fills_the_picture_leaves_no_background_to_be_hidden() -> None:
    picture = np.full((64, 64, 3), GROUNDS["blue"], np.uint8)
    assert background(picture, [Spot("cat", 80, 32, 32)]) == "blue"
