"""The generators' trainings: pure batches, pools that go on, stages that leave what the next one starts from."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from mmagent.errors import ModelError, UnknownName
from mmagent.pocket.world import scenes, splits, videos

pytest.importorskip("diffusers")

import torch

from mmagent.pocket.generators import autoencoder, clips, diffusion, pictures, pool, stages
from mmagent.pocket.generators.text import LENGTH, WIDTH
from mmagent.training.loop import Recipe, fit


def by_length(captions: list[str]) -> torch.Tensor:
    """States that tell captions apart, without the weights of a text encoder."""
    return torch.stack([torch.full((LENGTH, WIDTH), len(caption) / 40) for caption in captions])


@pytest.fixture(autouse=True)
def encoded(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    seen: list[int] = []

    def states_of(captions: list[str]) -> torch.Tensor:
        seen.append(len(captions))
        return by_length(captions)

    for module in (pool, diffusion):
        monkeypatch.setattr(module, "states_of", states_of)
    yield seen


def scenes_in(folder: Path, size: int = 40) -> pool.Pool[scenes.Scene]:
    return pool.Pool("some", size, partial(scenes.draw, allowed=splits.trained), folder)


def test_a_pool_goes_on_where_it_was_stopped(tmp_path: Path, encoded: list[int]) -> None:
    made = scenes_in(tmp_path, 600)

    class Stopped(Exception):
        pass

    def stop(done: int, total: int) -> None:
        if done >= 512:
            raise Stopped

    with pytest.raises(Stopped):
        made.build(stop)
    states = made.build()
    assert encoded == [256, 256, 88]
    assert states.shape == (600, LENGTH, WIDTH)
    for number in (0, 300, 599):
        assert np.allclose(states[number], by_length([made.fact(number)[1]])[0], atol=1e-3)
    made.build()
    assert encoded == [256, 256, 88]  # nothing is left to do
    with pytest.raises(ModelError, match="600 captions, not 10"):
        scenes_in(tmp_path, 10).build()


def test_facts_of_a_pool_are_trained_on_and_always_the_same(tmp_path: Path) -> None:
    made = scenes_in(tmp_path)
    for number in range(40):
        scene, caption = made.fact(number)
        assert splits.trained(scene.combinations)
        assert made.fact(number) == (scene, caption)


def captions(tmp_path: Path) -> diffusion.Captions[scenes.Scene]:
    made = scenes_in(tmp_path)
    return diffusion.Captions(made, made.build())


def test_some_items_are_learnt_without_their_caption(tmp_path: Path) -> None:
    _, states = captions(tmp_path).draw(Random(0), 400)
    without = int((states.abs().sum(dim=(1, 2)) == 0).sum())
    assert 20 <= without <= 60


@pytest.fixture(scope="module")
def vae() -> Any:
    torch.manual_seed(0)
    return autoencoder.autoencoder()


def test_a_batch_is_a_pure_function_of_its_seed(tmp_path: Path, vae: Any) -> None:
    task = pictures.PictureTask(vae, captions(tmp_path), batch=3)
    one, again, other = task.batch(1), task.batch(1), task.batch(2)
    assert one.latents.shape == (3, 4, 16, 16)
    assert torch.equal(one.latents, again.latents)
    assert torch.equal(one.states, again.states)
    assert not torch.equal(one.latents, other.latents)


def test_motion_begins_as_the_pictures_were_and_trains_what_reads_captions(tmp_path: Path, vae: Any) -> None:
    still = pictures.denoiser()
    made = pool.Pool("some", 10, partial(videos.draw, allowed=splits.trained), tmp_path)
    task = clips.ClipTask(vae, still, diffusion.Captions(made, made.build()), batch=1)
    batch = task.batch(0)
    assert batch.latents.shape == (1, 4, 8, 16, 16)
    times = torch.tensor([500])
    with torch.no_grad():
        moving = task.unet(batch.latents, times, encoder_hidden_states=batch.states).sample[0]
        frames = batch.latents[0].transpose(0, 1)  # [F, 4, 16, 16]
        alone = still(frames, times.expand(8), encoder_hidden_states=batch.states).sample
    assert torch.allclose(moving.transpose(0, 1), alone, atol=1e-4)
    task.losses(batch)["loss"].backward()  # type: ignore[no-untyped-call]  # torch leaves it so
    with_gradient = {name for name, value in task.unet.named_parameters() if value.grad is not None}
    assert with_gradient
    assert all("motion_modules" in name or ".attn2." in name or ".norm2." in name for name in with_gradient)


class Small:
    """A task of a single small network of diffusers, as the generators' are."""

    def __init__(self, start: float, part: bool = False) -> None:
        from diffusers import UNet2DModel

        self.unet = UNet2DModel(
            sample_size=8, block_out_channels=(32,), down_block_types=("DownBlock2D",), up_block_types=("UpBlock2D",),
            layers_per_block=1,
        )  # fmt: skip
        torch.nn.init.constant_(self.unet.conv_out.bias, start)
        if part:
            self.unet.requires_grad_(False)
            self.unet.conv_out.requires_grad_(True)

    @property
    def modules(self) -> dict[str, torch.nn.Module]:
        return {"unet": self.unet}

    def batch(self, seed: int) -> None:
        return None

    def losses(self, batch: None) -> dict[str, torch.Tensor]:
        return {"loss": self.unet.conv_out.bias.square().sum()}

    def sample(self, folder: Path, step: int) -> None:
        pass


def test_a_stage_leaves_a_folder_only_at_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = stages.Stage(
        lambda out, told: Small(2.0),
        "unet",
        Recipe(steps=4, rate=0.5, warmup=1, average=0.0),
        lambda task: {"sample_size": 9},
    )
    monkeypatch.setattr(stages, "STAGES", {"small": stage})
    assert stages.train("small", tmp_path, minutes=0) is None
    assert not (tmp_path / stages.KEPT).exists()
    folder = stages.train("small", tmp_path)
    assert folder == stages.kept("small", tmp_path)
    from diffusers import UNet2DModel

    again = UNet2DModel.from_pretrained(folder, low_cpu_mem_usage=False)
    assert again.config.sample_size == 9
    assert 0 < float(again.conv_out.bias.detach().max()) < 2


def test_what_was_not_trained_is_not_kept(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    task = Small(1.0, part=True)
    fit(task, Recipe(steps=1), tmp_path / "run")
    folder = stages.keep(task.unet, tmp_path / "kept", {"sample_size": 9})
    assert load_file(folder / "trained.safetensors").keys() == {"conv_out.weight", "conv_out.bias"}


def test_a_stage_that_misses_another_says_how_to_come_to_it(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="'pictures'; there are autoencoder, pictures-1"):
        stages.find("pictures")
    with pytest.raises(ModelError, match="no-such-stage has to be trained first: python -m"):
        stages.kept("no-such-stage", tmp_path)
