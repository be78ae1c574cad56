"""A training run: a pure function of its recipe, stopped and continued wherever one likes, whole or not there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import nn

from mmagent.errors import ModelError
from mmagent.training import checkpoint
from mmagent.training.loop import LOG, Recipe, fit


class Line:
    """Fits a line through noisy points, with noise of its own in every step."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Linear(8, 1))
        self.sampled: list[int] = []

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        return {"net": self.net}

    def batch(self, seed: int) -> torch.Tensor:
        return torch.randn(16, 2, generator=torch.Generator().manual_seed(seed))

    def losses(self, batch: torch.Tensor) -> dict[str, torch.Tensor]:
        made = self.net(batch + 0.01 * torch.randn_like(batch))
        return {"loss": (made[:, 0] - batch.sum(dim=1)).square().mean(), "size": made.abs().mean()}

    def sample(self, folder: Path, step: int) -> None:
        self.sampled.append(step)

    @property
    def weights(self) -> list[bytes]:
        return [value.numpy().tobytes() for value in self.net.state_dict().values()]


RECIPE = Recipe(steps=60, rate=1e-2, warmup=5, keep_every=7, sample_every=25)


def test_a_run_that_was_stopped_goes_on_bit_for_bit(tmp_path: Path) -> None:
    whole = Line()
    assert fit(whole, RECIPE, tmp_path / "whole") == 60
    steps = 0
    while steps < 60:
        left, parts = [13], Line()

        def stop(left: list[int] = left) -> bool:
            left[0] -= 1
            return left[0] < 0

        steps = fit(parts, RECIPE, tmp_path / "parts", stop=stop)
    assert parts.weights == whole.weights
    one, other = (checkpoint.read(tmp_path / name) for name in ("whole", "parts"))
    assert one is not None and other is not None
    assert one.tensors.keys() == other.tensors.keys()
    assert all(torch.equal(one.tensors[name], other.tensors[name]) for name in one.tensors)


def test_it_learns_and_leaves_the_average_in_the_modules(tmp_path: Path) -> None:
    task = Line()
    fit(task, RECIPE, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / LOG).read_text().splitlines()]
    assert [line["step"] for line in lines] == [20, 40, 60]
    assert lines[-1]["loss"] < 0.5 * lines[0]["loss"]
    assert {"size", "norm", "rate"} <= lines[0].keys()
    assert task.sampled == [25, 50]
    kept = checkpoint.read(tmp_path)
    assert kept is not None
    weight = task.net.state_dict()["0.weight"]
    assert torch.equal(weight, kept.part("average")["net.0.weight"])
    assert not torch.equal(weight, kept.part("model")["net.0.weight"])


def test_the_rate_rises_and_falls() -> None:
    rates = [RECIPE.rate_at(step) for step in range(60)]
    assert rates[:5] == sorted(rates[:5])
    assert rates[5:] == sorted(rates[5:], reverse=True)
    assert max(rates) == RECIPE.rate
    assert rates[-1] < 0.05 * RECIPE.rate


def test_another_recipe_or_other_modules_are_refused(tmp_path: Path) -> None:
    fit(Line(), RECIPE, tmp_path, stop=iter([False, False, True]).__next__)
    with pytest.raises(ModelError, match="holds a run whose rate is another"):
        fit(Line(), Recipe(steps=60, rate=1e-3, warmup=5), tmp_path)
    wider = Line()
    wider.net.append(nn.Linear(1, 1))
    with pytest.raises(ModelError, match=r"other modules: net.3.bias is in only one"):
        fit(wider, RECIPE, tmp_path)


def test_a_file_that_is_no_checkpoint_is_told(tmp_path: Path) -> None:
    (tmp_path / checkpoint.NAME).write_bytes(b"nothing")
    with pytest.raises(ModelError, match=r"is no checkpoint .* delete it to begin anew"):
        fit(Line(), RECIPE, tmp_path)


def test_a_loss_that_is_no_number_ends_the_run(tmp_path: Path) -> None:
    class Broken(Line):
        def losses(self, batch: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"loss": super().losses(batch)["loss"] * float("nan")}

    with pytest.raises(ModelError, match=r"the loss of step 1 is nan; .* begin anew in another folder"):
        fit(Broken(), RECIPE, tmp_path)
    assert checkpoint.read(tmp_path) is None


def test_a_gradient_that_is_no_number_reaches_neither_weights_nor_checkpoint(tmp_path: Path) -> None:
    class Broken(Line):
        def losses(self, batch: torch.Tensor) -> dict[str, torch.Tensor]:
            made = self.net(batch)
            return {"loss": (made * 0).clamp(min=0).sqrt().sum() + 1}  # 1, its gradient 0 · ∞

    task = Broken()
    before = [value.detach().clone() for value in task.net.parameters()]
    with pytest.raises(ModelError, match="the gradient's norm of step 1 is nan"):
        fit(task, RECIPE, tmp_path)
    assert all(torch.equal(*pair) for pair in zip(before, task.net.parameters(), strict=True))
    assert checkpoint.read(tmp_path) is None


def test_what_a_kill_leaves_of_a_checkpoint_is_overwritten(tmp_path: Path) -> None:
    fit(Line(), RECIPE, tmp_path, stop=iter([False, True]).__next__)
    whole = (tmp_path / checkpoint.NAME).read_bytes()
    script = tmp_path / "write.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import os, signal
            from pathlib import Path
            import safetensors.torch
            from mmagent.training import checkpoint

            def half(tensors, path, metadata):
                Path(path).write_bytes(b"half")
                os.kill(os.getpid(), signal.SIGKILL)

            safetensors.torch.save_file = half
            checkpoint.write(Path({str(tmp_path)!r}), checkpoint.Checkpoint(1, {{}}, {{}}))
            """
        )
    )
    for _ in range(2):
        assert subprocess.run([sys.executable, script], check=False).returncode == -signal.SIGKILL
    assert (tmp_path / checkpoint.NAME).read_bytes() == whole
    assert len([path for path in tmp_path.iterdir() if checkpoint.NAME in path.name]) == 2
    fit(Line(), RECIPE, tmp_path)
    assert [path.name for path in tmp_path.iterdir() if checkpoint.NAME in path.name] == [checkpoint.NAME]


@pytest.mark.parametrize(
    ("name", "value"),
    [("steps", 0), ("keep_every", 0), ("sample_every", 0), ("accumulate", 0), ("warmup", -1), ("rate", -1.0),
     ("rate", float("nan")), ("clip", 0.0), ("average", 1.0), ("decay", -0.1), ("betas", (0.9, 1.0))],
)  # fmt: skip
def test_a_recipe_out_of_bounds_is_refused(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"^{name}[\w.]* is "):
        Recipe(**{"steps": 10, name: value})  # type: ignore[arg-type]  # any field


def test_all_that_is_out_of_bounds_is_told_at_once() -> None:
    with pytest.raises(ValueError, match="steps is 0, not 1 or more; rate is -1, not a number above 0"):
        Recipe(steps=0, rate=-1)


@pytest.mark.slow
def test_a_kill_loses_at_most_what_came_after_the_last_checkpoint(tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import sys, time
            sys.path.insert(0, {str(Path(__file__).parent)!r})
            from pathlib import Path
            from test_training_loop import Line, RECIPE
            from mmagent.training.loop import fit
            class Slow(Line):
                def batch(self, seed):
                    time.sleep(0.02)
                    return super().batch(seed)
            fit(Slow(), RECIPE, Path({str(tmp_path / "run")!r}))
            """
        )
    )
    same = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}  # sums are the same for as many threads
    run = subprocess.Popen([sys.executable, script], env=same)
    path = tmp_path / "run" / checkpoint.NAME
    end = time.monotonic() + 60
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.01)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    before = checkpoint.read(tmp_path / "run")
    assert before is not None and before.step % RECIPE.keep_every == 0
    resumed, whole = Line(), Line()
    fit(resumed, RECIPE, tmp_path / "run")
    fit(whole, RECIPE, tmp_path / "whole")
    assert resumed.weights == whole.weights
