"""What the networks are given: laws of augmentation, of crops, of bands of frequency, of distances between points."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmagent.pocket.judges.pictures import augment as pictures
from mmagent.pocket.judges.pictures.net import MARGIN, SHOWN, Sight, shown
from mmagent.pocket.judges.solids.net import Feeling, surroundings
from mmagent.pocket.judges.sounds import augment as sounds
from mmagent.pocket.judges.sounds import mel
from mmagent.pocket.judges.sounds.net import Hearing

seeds = st.integers(0, 2**32 - 1)
RATE = 16_000


@settings(max_examples=20, deadline=None)
@given(seeds, st.integers(14, 50), st.integers(14, 50))
def test_what_lies_in_a_picture_is_where_the_map_says_it_is_moved_to(seed: int, x: int, y: int) -> None:
    dots = torch.zeros(5, 3, 64, 64)
    dots[:, :, y - 2 : y + 2, x - 2 : x + 2] = 1.0
    moved, maps = pictures.augmented(dots, Random(seed))
    weight = (moved.mean(dim=1) - 0.3).clamp(min=0)
    middles = torch.arange(64) + 0.5
    found = (
        torch.stack([(weight.sum(dim=axis) * middles).sum(dim=1) for axis in (1, 2)], dim=1)
        / weight.sum(dim=(1, 2))[:, None]
    )
    expected = maps[:, :1] * (torch.tensor([[x, y]]) - 32) + 32 + maps[:, 1:]
    assert (found - expected).abs().max() < 0.5
    assert 0 <= moved.min() <= moved.max() <= 1


def test_augmentation_is_a_function_of_the_seed_and_leaves_no_picture_as_it_was() -> None:
    batch = torch.rand(10, 3, 64, 64)
    one, again, another = (pictures.augmented(batch, Random(seed))[0] for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, another)
    assert all(not torch.equal(before, after) for before, after in zip(batch, one))


@pytest.mark.parametrize("size", [16, 24, 40])
def test_a_thing_is_shown_in_the_middle_and_at_one_size(size: int) -> None:
    batch = torch.zeros(2, 3, 64, 64)
    x, y = 24, 38
    batch[1, :, y - size // 2 : y + size // 2, x - size // 2 : x + size // 2] = 1.0
    crop = shown(batch, torch.tensor([1]), torch.tensor([[x, y]]).float(), torch.tensor([float(size)]))
    assert crop.shape == (1, 3, SHOWN, SHOWN)
    across = crop[0, 0].sum(dim=1).max()
    assert across == pytest.approx(SHOWN / MARGIN, abs=1.5)
    assert torch.allclose(crop, crop.flip(2), atol=0.1) and torch.allclose(crop, crop.flip(3), atol=0.1)


@settings(max_examples=20, deadline=None)
@given(st.floats(0.01, 1.0), st.floats(200, 6000))
def test_bands_do_not_tell_how_loud_a_sound_is_but_how_high(gain: float, pitch: float) -> None:
    time = torch.arange(8000) / RATE
    tone = torch.sin(2 * torch.pi * pitch * time)[None]
    bands = mel.log_mel(tone)
    assert torch.allclose(mel.log_mel(gain * tone), bands, atol=1e-3)
    assert bands.max() == pytest.approx(1) and bands.min() >= 0
    frequency = torch.linspace(0, RATE / 2, mel.N_FFT // 2 + 1)
    weights = mel.bands()[bands[0].mean(dim=1).argmax()]
    assert float((weights * frequency).sum() / weights.sum()) == pytest.approx(pitch, rel=0.15)


def test_silence_is_at_the_floor_and_no_band_is_empty() -> None:
    assert mel.log_mel(torch.zeros(2, 4000)).abs().max() == 0
    assert (mel.bands().sum(dim=1) > 0).all()


def test_a_sound_that_went_through_bands_and_back_has_about_the_same_bands() -> None:
    time = torch.arange(RATE) / RATE
    sound = (torch.sin(2 * torch.pi * 700 * time) * torch.exp(-4 * (time % 0.5)))[None]
    again = mel.sounding(mel.mel(mel.spectrum(sound).abs()), RATE, 8, 0)
    loud = mel.log_mel(sound) > 0.7
    assert again.shape == sound.shape
    assert (mel.log_mel(again) - mel.log_mel(sound)).abs()[loud].mean() < 0.06


def test_augmented_sounds_keep_their_length_and_are_a_function_of_the_seed() -> None:
    batch = torch.randn(6, 8000) * 0.1
    one, again, another = (sounds.augmented(batch, Random(seed)) for seed in (1, 1, 2))
    assert one.shape == batch.shape
    assert torch.equal(one, again)
    assert not torch.equal(one, another)


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_surroundings_are_the_same_however_a_cloud_is_turned_mirrored_moved_and_scaled(seed: int) -> None:
    chance = np.random.default_rng(seed)
    points = chance.normal(size=(1, 256, 3))
    turn, _ = np.linalg.qr(chance.normal(size=(3, 3)))
    moved = points @ turn * chance.uniform(0.5, 2) + chance.normal(size=3)
    one, other = (surroundings(torch.from_numpy(item)).float() for item in (points, moved))
    assert (one - other).abs().mean() < 1e-3  # a distance at the edge of two bins may fall into the other
    assert one[..., 1:].mean() == pytest.approx(1, rel=1e-3)


@pytest.mark.parametrize("net", [Sight(66), Hearing(21), Feeling(10)])
def test_a_judge_has_at_most_six_hundred_thousand_parameters(net: torch.nn.Module) -> None:
    assert sum(parameter.numel() for parameter in net.parameters()) <= 600_000
