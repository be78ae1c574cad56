"""A step is the same whether one batch makes it, several, or several processes; and what is said of a run."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from mmagent.errors import ModelError
from mmagent.training import checkpoint, log
from mmagent.training.loop import Recipe, fit
from mmagent.training.processes import Processes

N_SAMPLES = 12


class Rows:
    """Samples of unlike lengths, `n_batches` to a step of 12; some have no term `rare`, and most steps no `seldom`, so
    that its module has no gradient in them."""

    terms: Mapping[str, float] = {"each": 1.0, "rare": 0.5, "seldom": 1.0}

    def __init__(self, n_batches: int) -> None:
        torch.manual_seed(0)
        self.net, self.seldom, self.n_batches = nn.Linear(3, 2), nn.Linear(2, 1), n_batches

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        return {"net": self.net, "seldom": self.seldom}

    def at(self, number: int, seed: int) -> list[torch.Tensor]:
        step, part = divmod(number, self.n_batches)
        size = N_SAMPLES // self.n_batches
        numbers = range(step * N_SAMPLES + part * size, step * N_SAMPLES + (part + 1) * size)
        return [torch.randn(1 + at % 5, 3, generator=torch.Generator().manual_seed(at)) for at in numbers]

    def counts(self, batch: list[torch.Tensor]) -> dict[str, int]:
        rare = [rows for rows in batch if len(rows) == 5]
        return {"each": sum(map(len, batch)), "rare": len(rare), "seldom": len(self._large(batch))}

    def _large(self, batch: list[torch.Tensor]) -> list[torch.Tensor]:
        return [rows for rows in batch if rows[0, 0] > 1.9]

    def losses(self, batch: list[torch.Tensor]) -> dict[str, torch.Tensor]:
        made = [self.net(rows) for rows in batch]  # [T_b, 2]
        rare = [rows.square().mean() for rows in made if len(rows) == 5]
        found = {"each": torch.cat([rows.square().sum(dim=1) for rows in made]).mean()}
        if large := self._large(batch):
            found["seldom"] = torch.stack([self.seldom(rows[0, :2]).square().sum() for rows in large]).mean()
        return found | ({"rare": torch.stack(rare).mean()} if rare else {})

    def sample(self, folder: Path, step: int) -> None: ...


def losses_of(folder: Path) -> list[float]:
    return [line["loss"] for line in log.read(folder)]


def recipe(n_batches: int, **more: object) -> Recipe:
    return Recipe(steps=40, rate=1e-2, warmup=2, accumulate=n_batches, **more)  # type: ignore[arg-type]  # any field


@pytest.mark.parametrize("n_batches", [2, 3, 12])
def test_several_batches_make_the_step_that_one_big_batch_makes(tmp_path: Path, n_batches: int) -> None:
    whole, parts = Rows(1), Rows(n_batches)
    fit(whole, recipe(1), tmp_path / "whole")
    fit(parts, recipe(n_batches), tmp_path / "parts")
    torch.testing.assert_close(parts.net.weight, whole.net.weight, rtol=1e-5, atol=1e-7)
    assert losses_of(tmp_path / "parts") == pytest.approx(losses_of(tmp_path / "whole"), rel=1e-5)


@pytest.mark.slow
def test_two_processes_have_the_losses_of_one(tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import sys, torch
            sys.path.insert(0, {str(Path(__file__).parent)!r})
            from pathlib import Path
            from accelerate import Accelerator
            from test_training_shared import Rows, recipe
            from mmagent.training.loop import fit
            torch.set_num_threads(1)
            accelerator, rows = Accelerator(cpu=True), Rows(4)
            assert accelerator.num_processes == 2
            fit(rows, recipe(4), Path({str(tmp_path / "two")!r}), accelerator=accelerator)
            both = torch.cat([rows.net.weight.detach().flatten(), rows.seldom.weight.detach().flatten()])
            torch.save(both, {str(tmp_path)!r} + f"/{{accelerator.process_index}}.pt")
            torch.distributed.destroy_process_group()
            """
        )
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    runs = [
        subprocess.Popen([sys.executable, script], env={**env, "RANK": str(rank), "LOCAL_RANK": str(rank)})
        for rank in range(2)
    ]
    assert [run.wait(120) for run in runs] == [0, 0]
    one = Rows(1)
    fit(one, recipe(1), tmp_path / "one")
    assert losses_of(tmp_path / "two") == pytest.approx(losses_of(tmp_path / "one"), rel=1e-5)
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2))
    assert torch.equal(first, second)
    both = torch.cat([one.net.weight.detach().flatten(), one.seldom.weight.detach().flatten()])
    torch.testing.assert_close(first, both, rtol=1e-5, atol=1e-7)


def test_a_step_that_processes_cannot_share_is_refused() -> None:
    alone = Processes()
    alone.world = 2
    with pytest.raises(ModelError, match="set accumulate to a multiple of 2"):
        alone.share(0, 3)


def test_without_an_average_the_weights_stay_what_they_became(tmp_path: Path) -> None:
    plain, averaged = Rows(1), Rows(1)
    before = plain.net.weight.detach().clone()
    fit(plain, recipe(1, average=0.0), tmp_path / "plain")
    fit(averaged, recipe(1, average=0.5), tmp_path / "averaged")
    assert not torch.equal(plain.net.weight, before)
    assert not torch.equal(plain.net.weight, averaged.net.weight)


@pytest.mark.parametrize(("schedule", "last"), [("cosine", 0.01), ("linear", 0.01), ("constant", 1.0)])
def test_every_schedule_rises_first_and_ends_where_it_should(schedule: str, last: float) -> None:
    plan = Recipe(steps=100, rate=2.0, warmup=10, schedule=schedule)  # type: ignore[arg-type]  # one of its literals
    assert [plan.rate_at(step) for step in (0, 4, 9)] == pytest.approx([0.2, 1.0, 2.0])
    assert plan.rate_at(100) == pytest.approx(2.0 * last)
    halfway = {"cosine": 0.505, "linear": 0.505, "constant": 1.0}[schedule]
    assert plan.rate_at(55) == pytest.approx(2.0 * halfway)


def test_the_precision_is_chosen_for_the_device_and_kept_where_a_run_goes_on(tmp_path: Path) -> None:
    chosen = recipe(1).on("cpu")
    assert (recipe(1).precision, chosen.precision) == ("auto", "fp32")
    assert recipe(1).on("cuda", {"precision": "bf16"}).precision == "bf16"
    assert recipe(1).on("cuda", {}).precision == "fp32"  # a run from before it was told
    fit(Rows(1), recipe(1, precision="bf16"), tmp_path, stop=iter([False, True]).__next__)
    assert fit(Rows(1), recipe(1), tmp_path) == 40
    kept = checkpoint.read(tmp_path)
    assert kept is not None and kept.recipe["precision"] == "bf16"
    with pytest.raises(ModelError, match="whose precision is another"):
        fit(Rows(1), recipe(1, precision="fp32"), tmp_path)


def test_computing_in_bfloat16_moves_the_losses_a_little(tmp_path: Path) -> None:
    fit(Rows(1), recipe(1), tmp_path / "full")
    fit(Rows(1), recipe(1, precision="bf16"), tmp_path / "half")
    full, half = losses_of(tmp_path / "full"), losses_of(tmp_path / "half")
    assert half == pytest.approx(full, rel=0.05)
    assert half != full


def test_a_recipe_without_the_newer_choices_is_the_one_with_their_defaults(tmp_path: Path) -> None:
    told = recipe(1).told()
    older = {key: told[key] for key in told if key not in ("schedule", "accumulate", "precision")}
    assert recipe(1).differs(older) == []
    assert recipe(2, schedule="linear").differs(older) == ["schedule", "accumulate"]


def test_a_log_is_read_without_what_a_kill_undid(tmp_path: Path) -> None:
    lines = ['{"step": 20, "loss": 3.0}', '{"step": 40, "loss": 2.0}', '{"step": 40, "loss": 1.5}', '{"step": 6']
    (tmp_path / log.LOG).write_text("\n".join(lines))
    assert [line["loss"] for line in log.read(tmp_path)] == [3.0, 1.5]


def test_the_losses_are_drawn_and_told_to_tensorboard(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from mmagent.media import Image

    assert log.plot(tmp_path) is None
    fit(Rows(1), recipe(1), tmp_path, report=log.board(tmp_path))
    drawn = log.plot(tmp_path)
    assert drawn == tmp_path / log.PLOT
    assert len(np.unique(np.asarray(Image(drawn).pil("L")))) > 10
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert [event.step for event in events.Scalars("train/loss")] == [20, 40]
    assert [event.value for event in events.Scalars("train/loss")] == pytest.approx(losses_of(tmp_path))
