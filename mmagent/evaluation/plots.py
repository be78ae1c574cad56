"""Plots of a report, drawn without a display."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmagent.errors import MissingExtra
from mmagent.evaluation.report import Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PER_BAR, _PER_LETTER, _DPI = 0.32, 0.08, 120
_LONGEST = 40


def draw(report: Report, folder: Path) -> list[Path]:
    """`scores.png`, `curves-<score>.png` where something was perturbed, `transfer-<score>.png` of a whole table; the files.

    The score of the last two is the first of each metric.
    """
    written = [_bars(report, folder / "scores.png")]
    for metric in report.metrics:
        name = next((item for item in report.names if item == metric or item.startswith(f"{metric}.")), "")
        if not name:
            continue
        if report.curves(name):
            written.append(_curves(report, name, folder / f"curves-{name}.png"))
        systems, data, _ = report.matrix(name)
        if len(systems) > 1 and len(data) > 1:
            written.append(_matrix(report, name, folder / f"transfer-{name}.png"))
    return written


@contextmanager
def _figure(path: Path, width: float, height: float) -> Iterator[Axes]:
    """A figure of its own, without pyplot: that keeps state, and looks for a display."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtra("matplotlib", "train", "plotting a report") from None
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    yield figure.add_subplot()
    figure.savefig(path, dpi=_DPI)


def _bars(report: Report, path: Path) -> Path:
    """A bar for each score of each result, with its interval."""
    head, rows = report.rows()
    labels = [" · ".join(_plain(cell) for cell in row[: head.index("n")] if cell) for row in rows]
    names = report.names
    n_bars = len(names) * len(labels)
    with _figure(path, 7, max(2.0, 0.8 + _PER_BAR * (n_bars + len(names)))) as axes:
        height = 0.8 / len(labels)
        for place, (label, result) in enumerate(zip(labels, report.results)):
            at = [number + place * height for number, name in enumerate(names) if name in result.scores]
            scores = [result.scores[name] for name in names if name in result.scores]
            below = [item.value - item.low if item.low is not None else math.nan for item in scores]
            above = [item.high - item.value if item.high is not None else math.nan for item in scores]
            values = [item.value for item in scores]
            axes.barh(at, values, height, xerr=[below, above], label=label, capsize=2, ecolor="0.3")
        axes.set_yticks([number + 0.4 - height / 2 for number in range(len(names))], names)
        axes.invert_yaxis()
        axes.set_xlabel("score, with its 95 % interval")
        if len(labels) > 1:
            axes.legend(fontsize="small")
    return path


def _curves(report: Report, name: str, path: Path) -> Path:
    """A score against the strength of each perturbation."""
    with _figure(path, 6, 4) as axes:
        for about, points in report.curves(name).items():
            strengths, scores = [item for item, _ in points], [score for _, score in points]
            axes.plot(
                strengths, [item.value for item in scores], marker="o",
                label=" · ".join(_plain(cell) for cell in about if cell),
            )  # fmt: skip
            low = [item.value if item.low is None else item.low for item in scores]
            high = [item.value if item.high is None else item.high for item in scores]
            axes.fill_between(strengths, low, high, alpha=0.2)
        axes.set_xlabel("strength")
        axes.set_ylabel(name)
        axes.legend(fontsize="small")
    return path


def _matrix(report: Report, name: str, path: Path) -> Path:
    """Systems by data sets, the score in each cell."""
    systems, data, values = report.matrix(name)
    numbers = [[math.nan if value is None else value for value in row] for row in values]
    rows, columns = ([_plain(item) for item in names] for names in (systems, data))
    beside = _PER_LETTER * max(map(len, rows))
    with _figure(path, 1.5 + beside + 1.1 * len(data), 1.5 + 0.6 * len(systems)) as axes:
        # Colours from 0 on, so that small differences look small.
        image: Any = axes.imshow(numbers, cmap="Blues", aspect="auto", vmin=0)
        for row, line in enumerate(numbers):
            for column, value in enumerate(line):
                if not math.isnan(value):
                    dark = image.norm(value) > 0.6
                    axes.text(column, row, f"{value:.3f}", ha="center", va="center", color="white" if dark else "black")
        axes.set_xticks(range(len(data)), columns, rotation=20, ha="right")
        axes.set_yticks(range(len(systems)), rows)
        axes.set_xlabel("scored on")
        axes.set_title(name, fontsize="medium")
    return path


def _plain(text: str) -> str:
    """Words as a plot shows them: a dollar sign would begin a formula, an underscore in front hides a label, and of a
    long path the end tells one from another."""
    short = text if len(text) <= _LONGEST else "…" + text[-_LONGEST + 1 :]
    return short.replace("$", r"\$").lstrip("_")
