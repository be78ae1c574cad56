"""A report: scores by what was asked of whom, as JSON, as rows for a table, and as plots.

It is a pure function of predictions, so that a run can be scored again by other metrics without its system.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from mmagent.errors import IntakeError
from mmagent.evaluation.prediction import Prediction, Setting
from mmagent.evaluation.score import Score
from mmagent.evaluation.scoring import score
from mmagent.intake import write_atomic

FILE = "report.json"
SYSTEM, DATA, SHOTS, CHANGE, STRENGTH = "system", "data", "shots", "change", "strength"
"""Settings that every run of ours has."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Result(_Strict):
    """The scores under one set of settings; `n` questions, of which `failed` were not answered, took `seconds`."""

    settings: dict[str, Setting]
    n: int
    failed: int
    seconds: float
    scores: dict[str, Score]


class Report(_Strict):
    """Results, in the order in which they were asked for."""

    version: Literal[1] = 1
    metrics: tuple[str, ...]
    results: tuple[Result, ...]

    @classmethod
    def of(cls, predictions: Iterable[Prediction], metrics: Sequence[str]) -> Report:
        """Score predictions, those with the same settings together; IntakeError as `score`."""
        groups: dict[tuple[tuple[str, Setting], ...], list[Prediction]] = {}
        for item in predictions:
            groups.setdefault(tuple(item.settings.items()), []).append(item)
        if not groups:
            raise IntakeError("there are no predictions to score")
        results = tuple(
            Result(
                settings=dict(settings),
                n=len(items),
                failed=sum(bool(item.error) for item in items),
                seconds=round(sum(item.seconds for item in items), 3),
                scores=score(items, metrics),
            )
            for settings, items in groups.items()
        )
        return cls(metrics=tuple(metrics), results=results)

    @classmethod
    def load(cls, path: str | Path) -> Report:
        """A report that was saved; IntakeError if the file is none."""
        try:
            return cls.model_validate_json(Path(path).read_bytes())
        except (OSError, ValidationError) as error:
            raise IntakeError(f"{path} is no report: {str(error).splitlines()[0]}") from None

    def save(self, folder: str | Path, *, plots: bool = True) -> list[Path]:
        """Write `report.json` and, if asked for, the plots that it has something for; the files."""
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        write_atomic(target / FILE, self.model_dump_json(indent=1).encode() + b"\n")
        if not plots:
            return [target / FILE]
        from mmagent.evaluation.plots import draw

        return [target / FILE, *draw(self, target)]

    @property
    def names(self) -> list[str]:
        """Every score that a result has, in order."""
        return list(dict.fromkeys(name for result in self.results for name in result.scores))

    def rows(self) -> tuple[list[str], list[list[str]]]:
        """The head and the rows of a table: settings that differ between results, questions, failures, scores."""
        keys = list(dict.fromkeys(key for result in self.results for key in result.settings))
        differ = [
            key for key in keys if len({result.settings.get(key) for result in self.results}) > 1 or key == SYSTEM
        ]
        rows = [
            [
                *(_cell(result.settings.get(key)) for key in differ),
                str(result.n),
                str(result.failed),
                *(str(result.scores[name]) if name in result.scores else "" for name in self.names),
            ]
            for result in self.results
        ]
        return [*differ, "n", "failed", *self.names], rows

    def matrix(self, name: str) -> tuple[list[str], list[str], list[list[float | None]]]:
        """Systems, data sets, and the score `name` of each system on each, as asked without shots and changes."""
        plain = [item for item in self.results if not item.settings.get(SHOTS) and not item.settings.get(CHANGE)]
        found = {
            (str(item.settings.get(SYSTEM, "")), str(item.settings.get(DATA, ""))): item.scores[name].value
            for item in plain
            if name in item.scores
        }
        systems, data = (list(dict.fromkeys(key[side] for key in found)) for side in (0, 1))
        return systems, data, [[found.get((one, other)) for other in data] for one in systems]

    def curves(self, name: str) -> dict[tuple[str, str, str], list[tuple[float, Score]]]:
        """By system, data and perturbation, the score `name` by strength; strength 0 is the run without it."""
        start: dict[tuple[Setting, ...], Score] = {}
        found: dict[tuple[tuple[Setting, ...], str], list[tuple[float, Score]]] = {}
        for item in self.results:
            if name not in item.scores:
                continue
            about = tuple(item.settings.get(key) for key in (SYSTEM, DATA, SHOTS))
            change, strength = str(item.settings.get(CHANGE) or ""), item.settings.get(STRENGTH)
            if not change:
                start[about] = item.scores[name]
            elif isinstance(strength, int | float) and strength:
                found.setdefault((about, change), []).append((float(strength), item.scores[name]))
        curves = {}
        for (about, change), points in found.items():
            zero = [(0.0, start[about])] if about in start else []
            curves[str(about[0] or ""), _cell(about[1]), change] = sorted([*zero, *points], key=lambda item: item[0])
        return curves


def _cell(value: Setting) -> str:
    """A setting as a cell; a strength of 0.0 is that of no perturbation, and is left out."""
    return "" if value is None or (isinstance(value, float) and not value) else str(value)
