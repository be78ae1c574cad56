"""The commands that score, show and try out generators, on small pipelines with weights by chance."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("diffusers")

import torch

from mmagent.diffusion.loading import quiet
from mmagent.errors import ModelError
from mmagent.pocket.generators import (
    autoencoder,
    clips,
    pictures,
    sound_autoencoder,
    sound_stages,
    sounds,
    stages,
    vocoder,
)
from mmagent.pocket.generators.__main__ import main
from mmagent.pocket.generators.scores.makers import MAKERS, Sampling, maker
from mmagent.pocket.generators.scores.media import KINDS
from mmagent.pocket.generators.scores.score import prompted, rendered

pytestmark = [
    pytest.mark.weights,
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),  # diffusers
]
SAMPLING = Sampling(2, 2.0, "DDIMScheduler")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What trainings of small networks would leave."""
    folder = tmp_path_factory.mktemp("runs")
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pictures, "CHANNELS", (16, 32, 32))
        patch.setattr(clips, "CHANNELS", (16, 32, 32))
        still = pictures.denoiser()
        left = {
            "autoencoder": autoencoder.autoencoder(),
            "pictures-2": still,
            "clips-1": clips.denoiser(still),
            "sound-autoencoder": sound_autoencoder.autoencoder(),
            "vocoder-2": vocoder.vocoder(),
            "sounds-1": sounds.denoiser(),
        }
    for name, network in left.items():
        stages.keep(network, folder / stages.KEPT / name, {})
    return folder


@pytest.fixture(scope="module")
def whole(out: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same as pipelines."""
    folder = tmp_path_factory.mktemp("pipelines")
    vae = stages.load_autoencoder(out)
    with quiet():
        pictures.pipeline(stages.load_pictures("pictures-2", out), vae).save_pretrained(folder / "pictures")
        clips.pipeline(moving(out), vae).save_pretrained(folder / "clips")
        parts = sound_stages.load_denoiser(out, "sounds-1"), sound_stages.load_autoencoder(out)
        sounds.assemble(*parts, sound_stages.load_vocoder(out), folder / "sounds")
    return {name: folder / name for name in ("pictures", "clips", "sounds")}


def moving(out: Path) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clips, "CHANNELS", (16, 32, 32))
        return stages.load_clips("clips-1", out)


def made(name: str, folder: Path) -> Any:
    kind = KINDS[MAKERS[name].kind]
    prompts = prompted(kind, 1, "some")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clips, "CHANNELS", (16, 32, 32))
        return maker(name, folder, SAMPLING)(prompts, rendered(kind, prompts))


@pytest.mark.parametrize(
    ("name", "stage", "shape"),
    [
        ("pictures", "pictures-2", (3, 64, 64, 3)),
        ("clips", "clips-1", (1, 8, 64, 64, 3)),
        ("sounds", "sounds-1", (1, 32_000)),
        ("autoencoder", "autoencoder", (3, 64, 64, 3)),
        ("sound-autoencoder", "sound-autoencoder", (1, 32_000)),
    ],
)
def test_what_a_stage_left_makes_what_its_pipeline_makes(
    name: str, stage: str, shape: tuple[int, ...], out: Path, whole: dict[str, Path]
) -> None:
    media = made(name, out / stages.KEPT / stage)
    assert media.shape == shape
    again = made(name, whole[MAKERS[name].kind])
    assert media.dtype == again.dtype
    assert np.abs(media.astype(float) - again).max() <= (1 if media.dtype == np.uint8 else 1e-4)
    assert float(media.std()) > 0


def test_a_folder_that_is_neither_a_pipeline_nor_a_stage_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"is neither a pipeline with its model_index\.json nor OUT/kept/STAGE"):
        maker("pictures", tmp_path)


def run(*words: str) -> str:
    result = CliRunner().invoke(main, list(words), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two steps, where a command takes those of the generators."""
    monkeypatch.setattr("mmagent.pocket.generators.scores.makers.Sampling", lambda *given: SAMPLING)


@pytest.mark.usefixtures("brief")
def test_scores_are_printed_and_written(whole: dict[str, Path], tmp_path: Path) -> None:
    told = tmp_path / "told.json"
    printed = run("score", "--from", str(whole["pictures"]), "--n", "2", "--json", str(told))
    assert "every other one in a new wording, seeds 'dev'" in printed
    assert "as GenEval asks" in printed
    found = json.loads(told.read_text())
    assert found["n"] == 6
    assert {row["name"]: row["bar"] for row in found["rows"]}["relation"] == 0.85
    assert found["rows"][0]["right"]["value"] == 0  # weights by chance draw nothing


def test_an_autoencoder_has_one_bar_for_all(out: Path) -> None:
    printed = run("score", "--what", "sound-autoencoder", "--from", str(out / "kept/sound-autoencoder"), "--n", "2")
    assert printed.count("0.98 missed") >= 3
    assert "GenEval" not in printed


@pytest.mark.usefixtures("brief")
def test_samples_are_written(whole: dict[str, Path], tmp_path: Path) -> None:
    printed = run("samples", "--what", "sounds", "--from", str(whole["sounds"]), "--n", "2", "--out", str(tmp_path))
    assert printed.split() == [str(tmp_path / name) for name in ("sounds.png", "sound-01.flac", "sound-02.flac")]


def test_schedulers_are_tried_on_the_same_prompts(whole: dict[str, Path]) -> None:
    words = ["schedulers", "--from", str(whole["pictures"]), "--n", "2", "--steps", "1", "--steps", "2"]
    lines = run(*words, "DDIMScheduler", "EulerDiscreteScheduler").splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["DDIM", "1"], ["DDIM", "2"], ["EulerDiscrete", "1"], ["EulerDiscrete", "2"],
    ]  # fmt: skip
    assert all("thing 0.000" in line and "s each" in line for line in lines)
