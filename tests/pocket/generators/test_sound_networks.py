"""Spectrograms, the sound autoencoder and the vocoder: what they say of sounds, and that they can learn it."""

from __future__ import annotations

import math
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmagent.media import Audio

pytest.importorskip("diffusers")

import torch

from mmagent.diffusion.log_mel import log_mel as painted
from mmagent.pocket.generators import sound_autoencoder, spectrogram, vocoder
from mmagent.pocket.generators.spectrogram import HOP, MEAN, N_BINS, N_FRAMES, SCALE
from mmagent.pocket.world import splits
from mmagent.pocket.world.sounds import RATE


def noise(n: int, seconds: float = 2.0, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(n, round(seconds * RATE), generator=torch.Generator().manual_seed(seed))


def tone(hertz: float, n_samples: int = 2 * RATE) -> torch.Tensor:
    return 0.5 * torch.sin(torch.arange(n_samples) * (2 * math.pi * hertz / RATE))


@pytest.fixture(scope="module")
def vae() -> Any:
    torch.manual_seed(0)
    return sound_autoencoder.autoencoder()


@pytest.fixture(scope="module")
def voice() -> Any:
    torch.manual_seed(0)
    return vocoder.vocoder().eval()


def learnt(task: Any, batch: Any, name: str, steps: int, rate: float) -> tuple[float, float]:
    """A loss of a batch before and after some steps on it alone."""
    optimizer = torch.optim.Adam([value for module in task.modules.values() for value in module.parameters()], lr=rate)
    torch.manual_seed(0)
    met = []
    for _ in range(steps + 1):
        losses = task.losses(batch)
        losses["loss"].backward()
        optimizer.step()
        optimizer.zero_grad()
        met.append(float(losses[name].detach()))
    return met[0], met[-1]


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 140))
def test_the_spectrogram_is_the_one_that_the_tool_trains_towards(seed: int, n_frames: int) -> None:
    samples = noise(1, n_frames * HOP / RATE, seed)
    expected = painted(Audio(samples[0].numpy(), RATE), vocoder.vocoder().config)
    found = spectrogram.log_mel(samples)[0]
    assert found.shape == (n_frames, N_BINS)
    assert torch.allclose(found, torch.from_numpy(expected), atol=1e-3)


def test_two_seconds_are_frames_that_halve_well() -> None:
    assert spectrogram.log_mel(noise(1)).shape == (1, N_FRAMES, N_BINS)
    assert N_FRAMES % 8 == N_BINS % 8 == 0


def test_gradients_reach_samples_even_of_silence() -> None:
    samples = torch.stack([tone(500), torch.zeros(2 * RATE)]).requires_grad_()
    spectrogram._window.cache_clear()
    spectrogram._bands.cache_clear()
    with torch.inference_mode():  # whoever asks first may have no use for gradients
        spectrogram.log_mel(samples)
    spectrogram.log_mel(samples).sum().backward()  # type: ignore[no-untyped-call]  # torch leaves it so
    assert samples.grad is not None
    assert samples.grad.isfinite().all()
    assert samples.grad[0].abs().max() > 0


def test_a_sheet_has_time_to_the_right_and_high_frequencies_above() -> None:
    low, high = tone(200), tone(6000)
    low[RATE:] = 0
    picture = spectrogram.sheet(spectrogram.log_mel(low[None]), spectrogram.log_mel(high[None]))
    assert picture.shape == (2 * N_BINS, N_FRAMES)
    upper, lower = picture[:N_BINS], picture[N_BINS:]
    assert upper[:, 10].argmax() > 0.8 * N_BINS
    assert upper[:, 110].max() < 60 < 200 < upper[:, 10].max()
    assert lower[:, 110].argmax() < 0.2 * N_BINS


@pytest.mark.weights
def test_mean_and_deviation_are_about_those_of_the_world() -> None:
    mels = spectrogram.log_mel(spectrogram.rendered(spectrogram.drawn(Random(1), 60)))
    assert float(mels.mean()) == pytest.approx(MEAN, abs=0.5)
    assert float(mels.std()) == pytest.approx(SCALE, abs=0.3)


def test_sounds_that_are_trained_on_hold_nothing_that_is_held_out() -> None:
    for number in range(50):
        assert splits.trained(spectrogram.drawn(Random(number), 1)[0].combinations)
        assert splits.tested(spectrogram.drawn(Random(number), 1, tested=True)[0].combinations)


def test_the_autoencoder_begins_about_the_worlds_mean_and_deviation(vae: Any) -> None:
    kinds = torch.stack([torch.full((1, 16, 16), MEAN), torch.full((1, 16, 16), MEAN + SCALE)])
    with torch.no_grad():
        mean, more = vae.encoder.conv_in(kinds)[:, :, 4:-4, 4:-4]
        made = sound_autoencoder.reconstructed(vae, MEAN + SCALE * torch.randn(1, N_FRAMES, N_BINS))
    assert mean.abs().max() <= 1 / 3 + 1e-4  # nothing but a bias as torch draws it: at most 1 / sqrt(9)
    assert (more - mean).abs().max() <= 9 / 3 + 1e-4
    assert float(made.mean()) == pytest.approx(MEAN, abs=SCALE)


def test_latents_are_a_quarter_as_fine_and_scaled_as_the_config_says(vae: Any) -> None:
    mels = spectrogram.log_mel(noise(2))
    latents = sound_autoencoder.latents_of(vae, mels)
    assert latents.shape == (2, 4, N_FRAMES // 4, N_BINS // 4)
    with torch.no_grad():
        own = vae.encode(mels[:, None]).latent_dist.mode()
    assert torch.allclose(latents, own * vae.config.scaling_factor)


@pytest.mark.weights
def test_the_scaling_factor_gives_latents_of_the_world_a_deviation_of_one(vae: Any) -> None:
    factor = sound_autoencoder.scaling_factor(vae, n=8)
    mels = spectrogram.log_mel(spectrogram.rendered(spectrogram.drawn(Random(3), 8)))
    with torch.no_grad():
        latents = vae.encode(mels[:, None]).latent_dist.mode()
    assert float(latents.std() * factor) == pytest.approx(1, abs=0.25)


@pytest.mark.weights
def test_batches_are_pure_functions_of_their_seeds() -> None:
    coder, voice = sound_autoencoder.SoundAutoencoderTask(batch=2), vocoder.VocoderTask(batch=2)
    assert torch.equal(coder.batch(1), coder.batch(1))
    assert not torch.equal(coder.batch(1), coder.batch(2))
    one, again, other = voice.batch(1), voice.batch(1), voice.batch(2)
    assert torch.equal(one.mels, again.mels)
    assert torch.equal(one.samples, again.samples)
    assert not torch.equal(one.samples, other.samples)


def test_the_autoencoder_can_learn_a_sound() -> None:
    torch.manual_seed(0)
    task = sound_autoencoder.SoundAutoencoderTask(batch=1)
    mels = spectrogram.log_mel(tone(440)[None])[:, None]
    first, last = learnt(task, mels, "nepers", steps=10, rate=4e-3)
    assert last < 0.7 * first


@pytest.mark.parametrize("n_frames", [1, 8, 33])
def test_the_vocoder_makes_exactly_a_hop_of_each_frame(voice: Any, n_frames: int) -> None:
    with torch.no_grad():
        made = voice(torch.full((2, n_frames, N_BINS), MEAN))
    assert made.shape == (2, n_frames * HOP)
    assert made.abs().max() <= 1


def test_the_vocoder_hears_of_a_frame_only_nearby_and_about_its_place(voice: Any) -> None:
    mels = MEAN + torch.randn(1, N_FRAMES, N_BINS, generator=torch.Generator().manual_seed(0))
    other = mels.clone()
    other[:, 64] += SCALE
    with torch.no_grad():
        changed = (voice(mels) - voice(other))[0].abs().unflatten(0, (N_FRAMES, HOP)).amax(dim=1)  # [T]
    reached = changed.nonzero().flatten()
    assert reached.max() - reached.min() < vocoder.SEGMENT
    weight = changed / changed.sum()
    assert float((weight * torch.arange(N_FRAMES)).sum()) == pytest.approx(64, abs=0.5)


def test_sounds_differ_from_all_but_themselves_and_more_where_more_is_wrong() -> None:
    true = noise(2, 0.5)
    assert float(vocoder.difference(true, true)) == 0
    little, much = (float(vocoder.difference(true + share * noise(2, 0.5, 1), true)) for share in (0.1, 1.0))
    assert 0 < little < much / 2
    silence = torch.zeros(1, 8000)
    assert float(vocoder.difference(silence + 1e-5 * noise(1, 0.5), silence)) < 0.01  # too soft to count


def test_a_difference_from_silence_has_gradients() -> None:
    made = torch.zeros(1, 8000, requires_grad=True)
    vocoder.difference(made + 1e-3 * noise(1, 0.5), noise(1, 0.5)).backward()  # type: ignore[no-untyped-call]  # torch leaves it so
    assert made.grad is not None
    assert made.grad.isfinite().all()


def test_the_vocoder_can_learn_a_sound() -> None:
    torch.manual_seed(0)
    task = vocoder.VocoderTask(batch=1)
    samples = tone(440, vocoder.SEGMENT * HOP)[None]
    first, last = learnt(task, vocoder.Segments(spectrogram.log_mel(samples), samples), "loss", steps=15, rate=3e-3)
    assert last < 0.8 * first


@pytest.mark.weights
def test_in_tuning_every_other_spectrogram_was_through_the_autoencoder(vae: Any) -> None:
    true, tuned = vocoder.VocoderTask(batch=4).batch(5), vocoder.VocoderTask(vae, batch=4).batch(5)
    assert torch.equal(true.samples, tuned.samples)
    assert [torch.equal(one, other) for one, other in zip(true.mels, tuned.mels)] == [False, True, False, True]


def test_networks_are_as_small_as_they_are_said_to_be(vae: Any, voice: Any) -> None:
    def size(network: Any) -> int:
        return sum(value.numel() for value in network.parameters())

    assert size(vae) <= 500_000
    assert size(voice) <= 600_000
