"""Judges are trained by one command that can be stopped, and scored by another."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from mmagent.errors import UnknownName
from mmagent.pocket.judges import judges, shipped
from mmagent.pocket.judges.__main__ import main
from mmagent.pocket.judges.judges import Judge


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """The judge of solids learns for three steps of four clouds."""
    from mmagent.pocket.judges.solids.task import SolidTask

    whole = judges.solids()
    brief = Judge(lambda: SolidTask(batch=4), replace(whole.recipe, steps=3, sample_every=3), whole.scores)
    monkeypatch.setitem(judges.JUDGES, "solids", lambda: brief)


def run(*words: str) -> str:
    result = CliRunner().invoke(main, list(words), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.usefixtures("short")
def test_a_training_that_was_stopped_goes_on_and_its_judge_is_scored(tmp_path: Path) -> None:
    out, told = str(tmp_path / "out"), tmp_path / "told.json"
    assert "not done yet; run the same command again" in run("train", "--out", out, "--minutes", "0", "solids")
    assert not list((tmp_path / "out").glob("*.safetensors"))
    assert "solids.safetensors" in run("train", "--out", out, "solids")
    assert (tmp_path / "out" / "solids" / "sample-000003.npy").exists()
    printed = run("score", "--weights", out, "--n", "4", "--json", str(told), "solids")
    assert "solids: ceilings on true media" in printed and "sliced" in printed
    (report,) = json.loads(told.read_text())
    assert report["judge"] == "solids" and report["ceilings"]["held out"]["thing"]["n"] == 4
    again = run("score", "--weights", out, "--n", "4", "solids")
    assert again == printed
    assert run("score", "--weights", out, "--n", "4", "--seeds", "test", "solids") != printed


@pytest.mark.parametrize(
    "name",
    [pytest.param("pictures", marks=pytest.mark.weights), pytest.param("sounds", marks=pytest.mark.weights), "solids"],
)
def test_a_batch_is_a_function_of_its_seed_and_every_weight_learns(name: str) -> None:
    kinds = judges.judge(name)
    task = kinds.task()
    one, again, another = (task.batch(seed) for seed in (5, 5, 6))
    assert all(torch.equal(first, second) for first, second in zip(one, again))
    assert not torch.equal(one[0], another[0])
    losses = task.losses(one)
    losses["loss"].backward()
    assert losses["loss"].isfinite()
    still = [key for key, value in task.net.named_parameters() if value.grad is None or not value.grad.abs().sum()]
    assert not still
    assert kinds.recipe.seed > 1000  # other seeds than those of generators, which count from 0


def test_another_judge_is_not_known() -> None:
    with pytest.raises(UnknownName, match="no judge 'smells'; there are pictures, sounds, solids"):
        judges.judge("smells")


@pytest.mark.weights
@pytest.mark.parametrize("name", list(judges.JUDGES))
def test_what_is_shipped_knows_true_media_and_refuses_nonsense(name: str) -> None:
    for report in judges.score(name, 40, "test of the tests", shipped.WEIGHTS):
        refused = report.refused()
        for media in {media for media, _ in report.asked} - {"worn"}:
            true = report.ceiling(media)
            assert true is not None and true.value >= 0.95, "\n".join(report.lines())
        assert refused is not None and refused.value >= 0.93, "\n".join(report.lines())
