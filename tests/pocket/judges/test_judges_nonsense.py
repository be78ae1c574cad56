"""Nonsense is none of the things that it is made of, plainly, and is the same for the same seed."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from mmagent.pocket.judges.facts import NONE
from mmagent.pocket.judges.pictures import nonsense as pictures
from mmagent.pocket.judges.pictures.drawn import rubbish, spoilt, training
from mmagent.pocket.judges.solids import nonsense as solids
from mmagent.pocket.judges.sounds import nonsense as sounds
from mmagent.pocket.world import scenes
from mmagent.pocket.world.catalogue import catalogue

GROUND = np.array([110, 165, 240])


@pytest.mark.weights
@pytest.mark.parametrize("kind", [*pictures.KINDS, *pictures.UNSEEN])
def test_a_spoilt_sprite_can_be_laid_like_any_other_and_is_no_thing_of_the_world(kind: str) -> None:
    for seed in range(10):
        cover, colour = pictures.nonsense(Random(seed), kind, 24, GROUND)
        again, _ = pictures.nonsense(Random(seed), kind, 24, GROUND)
        assert np.array_equal(cover, again)
        assert (cover.shape, colour.shape) == ((24, 24, 1), (24, 24, 3))
        assert cover.dtype == colour.dtype == np.uint16
        assert (colour <= 255 - cover).all()
        made = np.concatenate([colour, 255 - cover], axis=2).astype(np.float32)
        things = [pictures.padded(thing.name, 24) for thing in catalogue().things]
        assert min(pictures._difference(made, thing, GROUND) for thing in things) >= pictures.PLAIN - 1


@pytest.mark.weights
def test_a_spoilt_scene_keeps_its_places_and_names_what_is_spoilt_none() -> None:
    random = Random(0)
    for _ in range(20):
        scene = scenes.draw(random)
        whole, spoils = (spoilt(scene, Random(1), share, tuple(pictures.KINDS)) for share in (0.0, 1.0))
        assert np.array_equal(whole.picture, scenes.render(scene))
        assert [item.name for item in whole.placed] == [item.name for item in scene.placed]
        assert {item.name for item in spoils.placed} == {NONE}
        for item, true in zip(whole.placed, scene.placed):
            assert max(abs(item.x - true.x), abs(item.y - true.y)) <= 0.5


@pytest.mark.weights
def test_training_pictures_are_a_function_of_the_seed_and_hold_things_and_nonsense() -> None:
    drawn = [training(Random(seed)) for seed in range(60)]
    assert all(np.array_equal(one.picture, training(Random(seed)).picture) for seed, one in enumerate(drawn[:10]))
    names = {item.name for one in drawn for item in one.placed}
    assert NONE in names and len(names) > 30
    assert {len(one.placed) for one in drawn} >= {0, 1, 2, 3}


def test_rubbish_is_never_twice_the_same() -> None:
    made = [rubbish(Random(seed)) for seed in range(20)]
    assert all(item.shape == (64, 64, 3) and item.dtype == np.uint8 for item in made)
    assert len({item.tobytes() for item in made}) == 20


@pytest.mark.weights
@pytest.mark.parametrize("kind", [*sounds.KINDS, *sounds.UNSEEN])
def test_a_spoilt_sound_is_a_sound_like_any_other(kind: str) -> None:
    made, again = (sounds.nonsense(Random(3), kind) for _ in range(2))
    assert np.array_equal(made, again)
    assert made.shape == (32_000,) and made.dtype == np.float32
    assert 0.4 < np.abs(made).max() <= 0.95


@pytest.mark.parametrize("kind", [*solids.KINDS, *solids.UNSEEN])
def test_a_spoilt_cloud_is_a_cloud_like_any_other(kind: str) -> None:
    made, again = (solids.nonsense(Random(3), kind) for _ in range(2))
    assert np.array_equal(made, again)
    assert made.shape == (1024, 3) and made.dtype == np.float32
    assert 0.1 < np.linalg.norm(made, axis=1).max() < 3
