"""The sound generator from its stages to the tool that runs it. Text states come from the real encoder."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from mmagent import Audio, Text
from mmagent.pocket.world import sounds as world
from mmagent.pocket.world import splits

pytest.importorskip("diffusers")

import torch

from mmagent.diffusion.loading import quiet
from mmagent.pocket.generators import sound_stages, sounds, stages
from mmagent.pocket.generators.diffusion import Captions
from mmagent.pocket.generators.pictures import pipeline
from mmagent.pocket.generators.pool import Pool
from mmagent.pocket.generators.sound_autoencoder import autoencoder, latents_of
from mmagent.pocket.generators.spectrogram import N_BINS, N_FRAMES, log_mel, rendered
from mmagent.pocket.generators.text import WIDTH
from mmagent.pocket.generators.vocoder import vocoder
from mmagent.registry import registry

pytestmark = [
    pytest.mark.weights,
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),  # diffusers
]


class Alone:
    """What a tool asks of its call, where nobody listens."""

    seed = 0
    cancelled = False

    def check(self) -> None:
        pass

    def progress(self, done: float, total: float = 1.0, note: str = "") -> None:
        pass


@pytest.fixture(scope="module")
def parts() -> tuple[Any, Any, Any]:
    """Denoiser, autoencoder and vocoder with random weights."""
    torch.manual_seed(0)
    return sounds.denoiser().eval(), autoencoder().eval(), vocoder().eval()


@pytest.fixture(scope="module")
def captions(tmp_path_factory: pytest.TempPathFactory) -> Captions[world.Noise]:
    pool = Pool("few", 4, partial(world.draw, allowed=splits.trained), tmp_path_factory.mktemp("pool"))
    return Captions(pool, pool.build())


def test_a_batch_is_pure_and_has_a_fact_sound_otherwise_each_time(
    parts: tuple[Any, Any, Any], captions: Captions[world.Noise]
) -> None:
    _, vae, voice = parts
    task = sounds.SoundTask(vae, voice, captions, batch=5)
    one, again = task.batch(1), task.batch(1)
    assert one.latents.shape == (5, 4, N_FRAMES // 4, N_BINS // 4)
    assert torch.equal(one.latents, again.latents)
    assert torch.equal(one.states, again.states)
    assert len({latents.numpy().tobytes() for latents in one.latents}) == 5 > 4  # of four facts


def test_losses_reach_every_weight_of_the_denoiser(
    parts: tuple[Any, Any, Any], captions: Captions[world.Noise]
) -> None:
    _, vae, voice = parts
    task = sounds.SoundTask(vae, voice, captions, batch=2)
    task.losses(task.batch(0))["loss"].backward()  # type: ignore[no-untyped-call]  # torch leaves it so
    assert all(value.grad is not None and value.grad.abs().max() > 0 for value in task.unet.parameters())
    assert all(value.grad is None for value in vae.parameters())
    assert sum(value.numel() for value in task.unet.parameters()) <= 4_500_000


def test_the_tool_makes_of_the_folder_what_the_parts_make(parts: tuple[Any, Any, Any], tmp_path: Path) -> None:
    unet, vae, voice = parts
    with quiet():
        folder = sounds.assemble(unet, vae, voice, tmp_path / "sounds")
    kind: Any = registry.find("audio-diffusion.v1")
    card = kind.card_for(kind.card.check_settings({"model": str(folder)}))
    states, sound = card.input("prompt_embeds").constraints, card.output("audio").constraints
    assert states["width"] == WIDTH
    assert (sound["rate"], sound["channels"]) == (16_000, 1)
    tool = kind.make({"model": str(folder)})
    tool.load()
    made = tool.run(Alone(), prompt=Text("a bell twice"), steps=2, guidance=2.0)
    assert isinstance(made, Audio)
    assert made.array.shape == (32_000, 1)
    with quiet():
        pipe = pipeline(unet, vae)
    expected = sounds.sounding(voice, sounds.generate(pipe, ["a bell twice"], seed=0, steps=2, guidance=2.0))
    assert np.allclose(made.array[:, 0], expected[0].numpy(), atol=1e-4)


@pytest.mark.slow
def test_stages_leave_what_the_next_ones_start_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sound_stages, "CAPTIONS", 8)
    names = ("sound-autoencoder", "vocoder-1", "vocoder-2", "sounds-1", "sounds-2")
    usual = {name: stages.STAGES[name] for name in names}
    unseen = "sounds-1"  # samples of a denoiser take seconds
    short = {name: replace(usual[name].recipe, steps=1, sample_every=2 if name == unseen else 1) for name in names}
    monkeypatch.setattr(stages, "STAGES", {name: replace(usual[name], recipe=short[name]) for name in names})
    for name in names:
        folder = stages.train(name, tmp_path)
        assert folder == stages.kept(name, tmp_path)
        left = {path.suffix for path in (tmp_path / name).glob("sample-*")}
        assert left == {unseen: set(), "sound-autoencoder": {".png"}}.get(name, {".png", ".wav"})
    vae, voice = sound_stages.load_autoencoder(tmp_path), sound_stages.load_vocoder(tmp_path)
    unet = sound_stages.load_denoiser(tmp_path, "sounds-2")
    assert {value.dtype for part in (vae, voice, unet) for value in part.parameters()} == {torch.float32}
    random = Random(9)
    noise = world.draw(random, splits.trained)
    latents = latents_of(vae, log_mel(rendered([noise])))
    assert 0.3 < float(latents.std()) < 3  # the config has the factor
    assert len(Audio.open(tmp_path / "sounds-2" / "sample-000001.wav").array) == 12 * 32_000
