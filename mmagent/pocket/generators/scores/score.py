"""Scores: media made of held-out prompts, judged, beside true media of the very facts, which give the ceilings."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random

import numpy as np

from mmagent.evaluation.metrics.frechet import Distance, frechet
from mmagent.evaluation.score import Score, share
from mmagent.pocket.generators.scores.asked import Asked, asked
from mmagent.pocket.generators.scores.judging import Array
from mmagent.pocket.generators.scores.measures import Measure, confusions
from mmagent.pocket.generators.scores.media import Kind
from mmagent.pocket.judges.facts import Facts
from mmagent.pocket.judges.report import WORST, Confusion

Make = Callable[[Sequence[Asked], Array], Array]
"""Media of prompts; what only encodes and decodes is given the true ones too."""


@dataclass(frozen=True, slots=True)
class Row:
    """A measure: the share that is right, of true media too (the judge's ceiling), and of prompts in new wordings."""

    name: str
    right: Score
    ceiling: Score
    new: Score | None
    bar: float | None

    @property
    def share(self) -> float:
        """Of the ceiling."""
        return self.right.value / self.ceiling.value if self.ceiling.value else 0.0

    @property
    def kept(self) -> bool | None:
        """Whether the bar is."""
        return None if self.bar is None else self.share >= self.bar


@dataclass(frozen=True, slots=True)
class Scores:
    """What a generator is worth: rows, tasks as GenEval has them, distances, mistakes, seconds of processor time.

    `distance` is that from true media of the same facts, `apart` that of other such media, as a perfect generator has it.
    """

    n: int
    seconds: float
    rows: tuple[Row, ...]
    tasks: tuple[Row, ...]
    distance: Distance
    apart: Distance
    mistakes: dict[str, Confusion] = field(default_factory=dict)

    def data(self) -> dict[str, object]:
        """All of it as JSON."""
        return {
            "n": self.n,
            "seconds": round(self.seconds, 2),
            "rows": [_told(row) for row in self.rows],
            "geneval": [_told(row) for row in self.tasks],
            "frechet": {"value": self.distance.value, "true": self.apart.value, "n": self.distance.n},
            "confusion": {
                name: [[*pair, count] for pair, count in sorted(table.counts.items())]
                for name, table in self.mistakes.items()
            },
        }

    def lines(self) -> Iterator[str]:
        """All of it to be read; of what was taken for what, the commonest mistakes."""
        yield f"{self.n} made in {self.seconds:.0f} s of processor time, {self.seconds / self.n:.3f} s each"
        yield from _table(self.rows)
        if self.tasks:
            yield "as GenEval asks"
            yield from _table(self.tasks)
            yield f"  {'overall':20} {sum(row.right.value for row in self.tasks) / len(self.tasks):.3f}"
        yield (
            f"Fréchet distance on the judge's features: {self.distance.value:.2f}, "
            f"of true media drawn anew {self.apart.value:.2f} (width {self.distance.width})"
        )
        yield from (f"  {warning}" for warning in self.distance.warnings)
        for name, table in self.mistakes.items():
            yield f"{name}: {table.right} of {table.counts.total()} right"
            for true, found, count in table.mistakes[:WORST]:
                yield f"  {true:18} taken for {found:18} {count:5}"


def prompted(kind: Kind, n: int, seeds: str) -> list[Asked]:
    """`n` prompts of each set, drawn from seeds of that name."""
    return [item for name, draw in kind.draws.items() for item in asked(name, draw, n, seeds)]


def rendered(kind: Kind, prompts: Sequence[Asked]) -> Array:
    """True media of what is asked for."""
    return np.stack([kind.render(item.spec) for item in prompts])


def score(kind: Kind, make: Make, n: int, seeds: str, bar: float | None = None) -> Scores:
    """Judge what is made of `n` prompts of each set.

    `bar` stands in the place of every bar, where media are not made but kept.
    """
    prompts = prompted(kind, n, seeds)
    random = Random(f"generators\0{seeds}\0again")  # noqa: S311  # chance, not secrets
    judge, true = kind.judge(), rendered(kind, prompts)
    begun = time.process_time()
    made = make(prompts, true)
    seconds = time.process_time() - begun
    (found, features), (of_true, reference) = judge(made), judge(true)
    others = judge(np.stack([kind.render(kind.again(item.spec, random)) for item in prompts]))[1]
    mistakes: dict[str, Confusion] = {}
    for item, facts in zip(prompts, found, strict=True):
        for name, wanted, got in confusions(item.spec, facts):
            mistakes.setdefault(name, Confusion()).add(str(wanted), str(got))
    return Scores(
        len(prompts),
        seconds,
        rows(kind.measures, prompts, found, of_true, bar),
        rows(kind.tasks if bar is None else (), prompts, found, of_true),
        frechet(features, reference),
        frechet(others, reference),
        mistakes,
    )


def rows(
    measures: Sequence[Measure],
    prompts: Sequence[Asked],
    found: Sequence[Facts],
    of_true: Sequence[Facts],
    bar: float | None = None,
) -> tuple[Row, ...]:
    """The rows of measures that something was asked about."""
    made = []
    for measure in measures:
        right, ceiling = (_share(measure, prompts, facts) for facts in (found, of_true))
        new = [(item, facts) for item, facts in zip(prompts, found, strict=True) if item.new]
        if right and ceiling:
            known = _share(measure, [item for item, _ in new], [facts for _, facts in new])
            made.append(Row(measure.name, right, ceiling, known, measure.bar if bar is None else bar))
    return tuple(made)


def _share(measure: Measure, prompts: Sequence[Asked], found: Sequence[Facts]) -> Score | None:
    told = [measure.right(item.spec, facts) for item, facts in zip(prompts, found, strict=True)]
    asked_about = [right for right in told if right is not None]
    return share(sum(asked_about), len(asked_about))


def _table(rows: Sequence[Row]) -> Iterator[str]:
    yield f"  {'':20} {'right':22} {'n':>5} {'ceiling':>8} {'share':>7}  {'bar':10} new wordings"
    for row in rows:
        bar = "" if row.bar is None else f"{row.bar:.2f} {'kept' if row.kept else 'missed'}"
        new = f"{row.new.value:.3f}" if row.new else ""
        yield (
            f"  {row.name:20} {row.right!s:22} {row.right.n:5} {row.ceiling.value:8.3f} {row.share:7.3f}  {bar:10} {new}"
        ).rstrip()


def _told(row: Row) -> dict[str, object]:
    right = {"value": row.right.value, "n": row.right.n, "low": row.right.low, "high": row.right.high}
    new = row.new and row.new.value
    return {
        "name": row.name, "right": right, "ceiling": row.ceiling.value, "share": row.share, "bar": row.bar, "new": new
    }  # fmt: skip
