"""`mmagent train`: train the parts of a model as a run file says, or check whether that can work."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mmagent.cli.exits import FINDINGS, OK
from mmagent.cli.output import console, say, write_json

if TYPE_CHECKING:
    from accelerate import Accelerator
    from rich.progress import Progress

    from mmagent.training.run.spec import RunSpec

PACKING = timedelta(days=7)
"""How long processes wait for the first one, which makes all that is frozen; a launcher ends them if it dies."""


@click.command("train", short_help="Train a model's parts as a run file says.")
@click.argument("run", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="RUN.yaml")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="The run's folder.")
@click.option("--resume", is_flag=True, help="Go on with the run in that folder.")
@click.option("--check", "checking", is_flag=True, help="Say whether this can work, and what it would take.")
@click.option("--minutes", type=click.FloatRange(min=0), metavar="N", help="Stop after so long; --resume goes on.")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change the run, as recipe.steps=100.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    run: Path,
    out: Path | None,
    resume: bool,
    checking: bool,
    minutes: float | None,
    changes: Sequence[str],
    as_json: bool,
) -> None:
    """Train what the run file's stage trains, and save the model with it in OUT/model.

    Steps are logged in OUT/log.jsonl and for TensorBoard, and drawn in OUT/loss.png. A run that was stopped or killed
    goes on bit for bit with --resume. Several processes share each step: `torchrun --nproc-per-node 2 -m mmagent
    train RUN.yaml --out OUT`. --check trains nothing that is kept; it ends with 1 if the run cannot work.
    """
    from mmagent.training.run.spec import read_run

    spec = read_run(run, changes)
    if checking:
        raise click.exceptions.Exit(_check(spec, run.parent, as_json))
    if out is None:
        raise click.UsageError("a run is kept in a folder; give --out DIR")
    from mmagent.training.run.train import train

    accelerator = _accelerator(spec)
    first, n_bad = accelerator is None or accelerator.is_main_process, list[int]()
    with ExitStack() as stack:
        bars = Bars(stack) if first else None
        made = train(
            spec, run.parent, out, resume=resume, minutes=math.inf if minutes is None else minutes,
            report=bars.steps if bars else None, packing=bars.packing if bars else _unseen, skipping=n_bad.append,
            accelerator=accelerator,
        )  # fmt: skip
    if first:
        if as_json:
            write_json({"model": str(made) if made else None, "run": str(out), "skipped": sum(n_bad)})
            return
        if n_bad:
            say(f"{sum(n_bad)} records could not be used; {out / 'bad.jsonl'} tells why")
        if made is None:
            say(f"stopped before its last step; go on with: mmagent train {run} --out {out} --resume")
        else:
            click.echo(made)


def _accelerator(spec: RunSpec) -> Accelerator | None:
    """One of several processes, where a launcher has started this one as such."""
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return None
    from accelerate import Accelerator, InitProcessGroupKwargs

    from mmagent.training.run.room import chosen_device

    patient = InitProcessGroupKwargs(timeout=PACKING)
    return Accelerator(cpu=chosen_device(spec.device) == "cpu", kwargs_handlers=[patient])


def _check(spec: RunSpec, beside: Path, as_json: bool) -> int:
    from mmagent.training.run.check import check

    with ExitStack() as stack:
        found = check(spec, beside, report=Bars(stack).steps)
    if as_json:
        write_json(found.as_data())
    else:
        click.echo("\n".join(found.lines()))
    return OK if found.works else FINDINGS


def _unseen(done: int, of: int) -> None:
    """Another process shows it."""


class Bars:
    """Bars on stderr for what is made beforehand and for the steps; lines where it is no terminal."""

    def __init__(self, stack: ExitStack) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._shown: Progress | None = None
        self._rows: dict[str, Callable[[int, int, str], None]] = {}
        if console().is_terminal:
            columns = (
                TextColumn("{task.fields[name]}", markup=False), BarColumn(), MofNCompleteColumn(),
                TimeRemainingColumn(), TextColumn("{task.description}", markup=False),
            )  # fmt: skip
            self._shown = stack.enter_context(Progress(*columns, console=console()))

    def packing(self, done: int, of: int) -> None:
        """So many batches are ready."""
        self._show("frozen", done, of, "", every=max(1, of // 10))

    def steps(self, step: int, steps: int, losses: Mapping[str, float]) -> None:
        """So many steps are done."""
        told = ", ".join(f"{name} {value:.4g}" for name, value in losses.items() if name != "norm")
        self._show("steps", step, steps, told, every=1)

    def _show(self, name: str, done: int, of: int, told: str, every: int) -> None:
        if self._shown is None:
            if done % every == 0 or done == of:
                say(f"{name} {done} of {of}{f': {told}' if told else ''}")
            return
        if name not in self._rows:
            shown, task = self._shown, self._shown.add_task("", name=name, total=of)
            self._rows[name] = lambda done, of, told: shown.update(task, completed=done, total=of, description=told)
        self._rows[name](done, of, told)
