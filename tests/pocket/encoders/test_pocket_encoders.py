"""The pocket model's own encoders: what changes nothing in what a medium is, their training, what they ship."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from mmagent import Audio, Points, load_tool
from mmagent.errors import ModelError
from mmagent.pocket.encoders import shipped
from mmagent.pocket.encoders.__main__ import main
from mmagent.pocket.encoders.nets import SolidEncoder, SoundEncoder
from mmagent.pocket.encoders.tasks import TASKS, UNASKED, Telling
from mmagent.pocket.world import solids, sounds, splits
from mmagent.training.loop import Recipe, fit

pytestmark = pytest.mark.library


def test_a_solid_is_the_same_however_it_is_turned_moved_scaled_and_ordered() -> None:
    net = SolidEncoder().eval()
    points = torch.from_numpy(solids.render(solids.draw(Random(1)))).double()[None]
    turn = torch.linalg.qr(torch.randn(3, 3, dtype=torch.double))[0]
    net = net.double()
    with torch.no_grad():
        torch.testing.assert_close(net(points), net(3.0 * points @ turn + 5.0))
        assert not torch.allclose(net(points), net(points * torch.tensor([1.0, 1.0, 3.0])), atol=1e-3)


def test_a_sound_is_the_same_however_loud_and_its_states_are_in_order() -> None:
    net = SoundEncoder().eval()
    samples = torch.from_numpy(sounds.render(sounds.draw(Random(1))))[None]
    with torch.no_grad():
        states = net(samples)
        torch.testing.assert_close(states, net(0.1 * samples), rtol=1e-3, atol=1e-3)
    assert states.shape == (1, 16, 128)
    loud = torch.zeros(1, 32_000)
    loud[:, 24_000:26_000] = torch.randn(2_000)
    seen = net._seen(loud)[0].mean(dim=0)  # [T]
    assert 90 <= int(seen.argmax()) <= 106, "a noise three quarters through the sound"


@pytest.mark.parametrize("name", TASKS)
def test_training_goes_on_where_it_was_and_learns(name: str, tmp_path: Path) -> None:
    task, told = TASKS[name](), []
    recipe = Recipe(steps=40, rate=2e-3, warmup=2, average=0.0, keep_every=20)
    assert fit(task, recipe, tmp_path, report=lambda step, steps, losses: told.append(losses["loss"])) == 40
    assert told[-1] < told[0]
    again: Telling = TASKS[name]()
    assert fit(again, recipe, tmp_path) == 40
    for one, two in zip(task.encoder.parameters(), again.encoder.parameters(), strict=True):
        assert torch.equal(one, two)
    assert all(0 <= share <= 1 for share in again.held_out(8).values())


def test_a_bent_sound_is_not_asked_for_its_pitch() -> None:
    batch = TASKS["sounds"]().batch(3)
    asked = batch.answers["pitch"] != UNASKED
    assert 0 < int(asked.sum()) < len(asked) == len(batch.media)
    for question in ("thing", "count"):
        assert bool((batch.answers[question] >= 0).all())


def test_the_command_saves_what_it_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TASKS["solids"], "recipe", Recipe(steps=2, warmup=1, average=0.0))
    done = CliRunner().invoke(main, ["train", "--out", str(tmp_path), "solids"])
    first, second = done.output.splitlines()
    assert done.exit_code == 0 and first == f"solids: {tmp_path / 'solids.safetensors'}", done.output
    assert second.startswith("right of media that it was not trained on: thing 0.")
    assert shipped.load("solids", tmp_path)(torch.randn(2, 64, 3)).shape == (2, 3, 128)
    with pytest.raises(ModelError, match="holds no encoder of sounds; train it"):
        shipped.load("sounds", tmp_path)


def heard(seed: int) -> tuple[Any, Any]:
    """A sound that is trained on, and one of a held-out composition."""
    random = Random(seed)
    return sounds.draw(random, splits.trained), sounds.draw(random, splits.tested)


def test_shipped_encoders_tell_the_world_apart_by_the_nearest_neighbour() -> None:
    """States of held-out media lie nearest to those of the same thing: no head of the training is needed."""
    hear, feel = load_tool("pocket-sounds"), load_tool("pocket-solids")
    drawn = [heard(seed) for seed in range(240)]

    def of_sound(noise: Any) -> Any:
        return hear.run(Audio(sounds.render(noise), sounds.RATE)).array.mean(axis=0)  # type: ignore[attr-defined]

    def of_solid(cloud: Any) -> Any:
        return feel.run(Points(solids.render(cloud))).array.flatten()  # type: ignore[attr-defined]

    known = [(of_sound(one), one.thing) for one, _ in drawn]
    assert _right(known, [(of_sound(other), other.thing) for _, other in drawn[:60]]) > 0.9
    clouds = [solids.draw(Random(seed)) for seed in range(200)]
    felt = [(of_solid(cloud), cloud.thing) for cloud in clouds]
    assert _right(felt[:140], felt[140:]) > 0.95


def _right(known: list[tuple[Any, str]], asked: list[tuple[Any, str]]) -> float:
    states = np.stack([states for states, _ in known])
    mean, spread = states.mean(axis=0), states.std(axis=0) + 1e-6
    names = [known[int(np.square((states - one) / spread).sum(axis=1).argmin())][1] for one, _ in asked]
    assert np.isfinite(mean).all()
    return float(np.mean([name == right for name, (_, right) in zip(names, asked, strict=True)]))


@pytest.mark.parametrize("seconds", [0.3, 2.0, 5.0])
def test_sounds_of_any_length_give_the_states_that_the_card_tells(seconds: float) -> None:
    made = load_tool("pocket-sounds").run(Audio(np.ones(round(seconds * 16_000), "float32"), 16_000))  # type: ignore[attr-defined]
    assert made.describe() == {"tokens": 16, "width": 128, "space": "pocket.sounds"}
    assert np.isfinite(made.array).all()


@pytest.mark.parametrize("shape", [(1, 3), (100, 3), (5000, 6)])
def test_clouds_of_any_size_give_the_states_that_the_card_tells(shape: tuple[int, int]) -> None:
    cloud = Points(np.random.default_rng(0).normal(size=shape).astype("float32"))
    made = load_tool("pocket-solids").run(cloud)  # type: ignore[attr-defined]
    assert made.describe() == {"tokens": 3, "width": 128, "space": "pocket.solids"}
    assert np.isfinite(made.array).all()
