"""The pocket model's world: what is drawn is what is said, by chance but repeatably, and splits are kept."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmagent.errors import UnknownName
from mmagent.pocket.world import scenes, solids, sounds, splits, videos, words
from mmagent.pocket.world.catalogue import catalogue

seeds = st.integers(0, 2**32 - 1)


def test_the_table_is_as_large_as_the_world_is_said_to_be() -> None:
    table = catalogue()
    assert len(table.things) >= 60
    assert len(table.backgrounds) >= 6
    assert len(table.sounding) >= 16
    assert len(table.solid) >= 8
    assert len([thing for thing in table.solid if thing.takes]) >= 3
    names = [name for thing in table.things for name in thing.names]
    assert len(names) == len(set(names))
    assert table.thing("kitten").name == "cat"
    with pytest.raises(UnknownName, match="no thing 'unicorn' is in the world; it has bell"):
        table.thing("unicorn")


@given(seeds)
def test_what_is_trained_on_holds_nothing_that_is_held_out(seed: int) -> None:
    random = Random(seed)
    for spec in (scenes.draw(random, allowed=splits.trained), videos.draw(random, splits.trained)):
        assert not any(splits.held_out(item) for item in spec.combinations)
    assert any(splits.held_out(item) for item in scenes.draw(random, allowed=splits.tested).combinations)


def test_every_thing_and_every_background_is_trained_on_and_each_kind_is_tested() -> None:
    table = catalogue()
    pairs = [("thing-background", thing.name, ground) for thing in table.things for ground in table.backgrounds]
    kept = [pair for pair in pairs if not splits.held_out(pair)]
    assert {pair[1] for pair in kept} == {thing.name for thing in table.things}
    assert {pair[2] for pair in kept} == set(table.backgrounds)
    assert 0.08 < 1 - len(kept) / len(pairs) < 0.16
    for values in (videos.MOTIONS, ("2", "3")):
        kind = "thing-motion" if values is videos.MOTIONS else "thing-count"
        for value in values:
            assert {splits.held_out((kind, thing.name, value)) for thing in table.things} == {True, False}


@given(seeds)
def test_things_of_a_scene_lie_inside_apart_and_as_they_are_said_to(seed: int) -> None:
    scene = scenes.draw(Random(seed))
    for item in scene.placed:
        assert item.size / 2 - 0.51 <= item.x <= scenes.SIDE - item.size / 2 + 0.51
        assert item.size / 2 - 0.51 <= item.y <= scenes.SIDE - item.size / 2 + 0.51
    assert len(scene.placed) == (2 if scene.kind == "pair" else scene.count)
    if scene.relation:
        first, second = scene.placed
        ahead = second.x - first.x if scene.relation == "left of" else second.y - first.y
        beside = abs(second.y - first.y) if scene.relation == "left of" else abs(second.x - first.x)
        assert ahead > 12 > beside


@pytest.mark.weights
def test_the_same_seed_gives_the_same_media_and_another_gives_others() -> None:
    def made(seed: int) -> list[bytes]:
        random = Random(seed)
        arrays = [
            scenes.render(scenes.draw(random)),
            videos.render_clip(videos.draw(random)),
            sounds.render(sounds.draw(random)),
            solids.render(solids.draw(random)),
        ]
        assert [(array.shape, array.dtype.name) for array in arrays] == [
            ((64, 64, 3), "uint8"),
            ((8, 64, 64, 3), "uint8"),
            ((32_000,), "float32"),
            ((1024, 3), "float32"),
        ]
        return [array.tobytes() for array in arrays]

    first = made(3)
    assert made(3) == first
    assert all(one != other for one, other in zip(first, made(4)))


@pytest.mark.weights
def test_a_picture_shows_its_background_and_something_on_it() -> None:
    random = Random(0)
    for thing in catalogue().things:
        ground = random.choice(tuple(catalogue().backgrounds))
        scene = scenes.arranged(scenes.Scene(ground, (thing.name,), size="big"), random)
        picture = scenes.render(scene).astype(int)
        colour = np.add(catalogue().backgrounds[ground], scene.shade).clip(0, 255)
        same = (np.abs(picture - colour).max(axis=2) == 0).mean()
        assert 0.3 < same < 0.97, thing


@pytest.mark.weights
def test_a_sound_is_heard_as_often_as_it_is_said_to_be() -> None:
    for count in (1, 2, 3):
        samples = sounds.render(sounds.Noise("drum", count, "as it is", 5))
        loud = np.abs(samples.reshape(-1, 160)).max(axis=1) > 0.25 * np.abs(samples).max()
        begun = np.flatnonzero(loud[1:] & ~loud[:-1])
        assert 1 + int((np.diff(begun) > 20).sum()) == count


@pytest.mark.weights
def test_a_higher_sound_has_its_pitch_higher() -> None:
    def centre(pitch: sounds.Pitch) -> float:
        power = np.abs(np.fft.rfft(sounds.render(sounds.Noise("bell", 1, pitch, 5)))) ** 2
        return float((power * np.arange(len(power))).sum() / power.sum())

    assert centre("lower") * 1.2 < centre("as it is") < centre("higher") / 1.2


@given(seeds)
def test_points_do_not_leave_their_ball(seed: int) -> None:
    points = solids.render(solids.draw(Random(seed)))
    assert np.isfinite(points).all()
    assert 0.5 < np.linalg.norm(points, axis=1).max() < 1.6


@given(seeds)
def test_a_caption_tells_every_fact(seed: int) -> None:
    random = Random(seed)
    for tested in (False, True):
        scene, clip, noise = scenes.draw(random), videos.draw(random), sounds.draw(random)
        text = words.said(scene, random, tested=tested)
        assert scene.background in text
        for name in scene.things:
            said = [item for one in catalogue().thing(name).names for item in (one, words.plural(one))]
            assert any(item in text for item in said)
        if scene.count > 1:
            assert words.NUMBERS[scene.count] in text
        moved = words.said(clip, random, tested=tested)
        assert any(item in moved for item in words.MOVES[clip.motion])
        heard = words.said(noise, random, tested=tested)
        assert noise.count == 1 or words.TIMES[noise.count] in heard
        assert any(item in heard for item in words.HEIGHTS[noise.pitch])


def test_a_pair_may_be_told_from_either_side() -> None:
    scene = scenes.Scene("blue", ("cat", "dog"), relation="left of")
    told = {words.said(scene, Random(seed)) for seed in range(200)}
    assert "a cat left of a dog on a blue background" in told
    assert "a dog to the right of a cat on blue" in told
    assert not any("a dog left of" in item or "puppy to the left of" in item for item in told)


def test_wordings_of_tests_are_none_of_training() -> None:
    for kind, templates in words.TESTED.items():
        assert templates
        assert not set(templates) & set(words.TRAINED[kind])


def test_articles_fit_backgrounds() -> None:
    random = Random(1)
    told = {
        words.said(scenes.Scene("orange", ("cat",)), random, tested=tested)
        for _ in range(60)
        for tested in (True, False)
    }
    assert any("an orange" in caption for caption in told)
    assert not any("a orange" in caption for caption in told)
