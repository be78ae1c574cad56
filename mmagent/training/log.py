"""What a run tells while it goes on: lines of JSON, TensorBoard's events where it is installed, and a plot at the end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mmagent.errors import MissingExtra

if TYPE_CHECKING:
    from mmagent.training.recipe import Recipe

LOG = "log.jsonl"
PLOT = "loss.png"
_SHOWN = 20
"""Steps between two lines of the log."""

Report = Callable[[int, int, Mapping[str, float]], None]
"""Told now and then of a run: steps done, steps in all, the losses since it was told last."""


class Log:
    """Means of the losses over some steps, a line each in the run's folder, and told to whoever listens."""

    def __init__(self, folder: Path, recipe: Recipe, report: Report | None) -> None:
        self._folder, self._recipe, self._report = folder, recipe, report
        self._told: list[Mapping[str, float]] = []

    def tell(self, step: int, losses: Mapping[str, float]) -> None:
        """The losses of one more step."""
        self._told.append(losses)
        if step % _SHOWN and step < self._recipe.steps:
            return
        names = dict.fromkeys(name for item in self._told for name in item)
        met = {name: [item[name] for item in self._told if name in item] for name in names}
        means = {name: sum(values) / len(values) for name, values in met.items()}
        self._told.clear()
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / LOG).open("a", encoding="utf-8") as file:
            line = {"step": step, "rate": self._recipe.rate_at(step - 1), "time": time.time(), **means}
            file.write(json.dumps(line) + "\n")
        if self._report is not None:
            self._report(step, self._recipe.steps, means)


def read(folder: Path) -> list[dict[str, float]]:
    """The lines of a run's log, the last for each step; those after where it went on from before are gone."""
    lines: list[dict[str, float]] = []
    path = folder / LOG
    for text in path.read_text("utf-8").splitlines() if path.exists() else []:
        try:
            line = json.loads(text)
        except ValueError:  # cut short by a kill
            continue
        while lines and lines[-1]["step"] >= line["step"]:
            lines.pop()
        lines.append(line)
    return lines


def board(folder: Path) -> Report:
    """A report that writes TensorBoard's events into `folder`; MissingExtra where TensorBoard is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MissingExtra(error.name or "tensorboard", "train", "a training run") from None
    writer = SummaryWriter(str(folder))

    def report(step: int, steps: int, losses: Mapping[str, float]) -> None:
        for name, value in losses.items():
            writer.add_scalar(f"train/{name}", value, step)
        writer.flush()

    return report


def plot(folder: Path) -> Path | None:
    """Draw the losses of a run's log over its steps, beside it; None if it has told none yet."""
    lines = read(folder)
    if not lines:
        return None
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra(error.name or "matplotlib", "train", "a training run") from None
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    FigureCanvasAgg(figure)  # no window, whatever the user's settings say
    axes = figure.add_subplot(xlabel="step", ylabel="loss", yscale="log")
    names = dict.fromkeys(name for line in lines for name in line if name not in ("step", "rate", "time", "norm"))
    for name in names:
        points = [(line["step"], line[name]) for line in lines if line.get(name, 0.0) > 0]
        if points:
            axes.plot(*zip(*points), label=name, linewidth=2.0 if name == "loss" else 1.0)
    axes.grid(alpha=0.3)
    axes.legend()
    path = folder / PLOT
    figure.savefig(path)
    return path
