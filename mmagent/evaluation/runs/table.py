"""Systems by data sets by conditions: zero- and few-shot, perturbed, controls, and transfer from one set to others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mmagent.errors import IntakeError
from mmagent.evaluation.prediction import Journal, Prediction, Setting
from mmagent.evaluation.report import CHANGE, DATA, SHOTS, STRENGTH, SYSTEM
from mmagent.evaluation.runs.asking import Answerer, ask
from mmagent.evaluation.runs.changed import Blind, Exchanged, Sample, Shots
from mmagent.evaluation.runs.perturb import Perturbed, find
from mmagent.training.data import BadRecords, Source

CONTROLS = ("exchanged", "blind")

Report = Callable[[str, int, int], None]
"""Told what is asked, how many records are done, and of how many."""


@dataclass(frozen=True, slots=True)
class Condition:
    """How records are asked: with so many examples before them, and under a perturbation or control."""

    shots: int = 0
    change: str = ""
    strength: float = 0.0

    def of(self, source: Source, whole: Source, seed: int) -> Source:
        """The records of `source` so asked; examples are drawn from `whole`, as they are there."""
        if self.change == "exchanged":
            source = Exchanged(source, seed)
        elif self.change == "blind":
            source = Blind(source)
        elif self.change:
            source = Perturbed(source, self.change, self.strength, seed)
        return Shots(source, self.shots, whole, seed) if self.shots else source

    def __str__(self) -> str:
        shots = f"{self.shots} shots" if self.shots else ""
        change = f"{self.change} {self.strength:g}" if self.strength else self.change
        return ", ".join(filter(None, (shots, change)))


PLAIN = Condition()


def conditions(shots: Sequence[int] = (0,), perturb: Sequence[str] = ()) -> list[Condition]:
    """Every number of shots as it is, and under each perturbation or control.

    `blur` stands for a curve over the strengths that are usual for it, `blur=0.02` for that one. IntakeError for an
    unknown name, or a strength that is no number above 0.
    """
    changes: list[tuple[str, float]] = [("", 0.0)]
    for item in perturb:
        name, given, strength = item.partition("=")
        if name in CONTROLS:
            changes.append((name, 0.0))
            continue
        try:
            strengths = (float(strength),) if given else find(name).strengths
        except ValueError:
            raise IntakeError(f"{item!r}: a strength is a number above 0") from None
        if not find(name) or not all(one > 0 for one in strengths):
            raise IntakeError(f"{item!r}: a strength is a number above 0")
        changes += [(name, one) for one in strengths]
    return [Condition(k, *change) for k in shots for change in dict.fromkeys(changes)]


def run(
    systems: Mapping[str, Callable[[], Answerer]],
    sources: Mapping[str, Source],
    folder: str | Path,
    *,
    conditions: Sequence[Condition] = (PLAIN,),
    limit: int | None = None,
    seed: int = 0,
    examples: Source | None = None,
    settings: Mapping[str, Setting] | None = None,
    bad: BadRecords | None = None,
    keep_inputs: bool = True,
    progress: Report = lambda what, done, total: None,
) -> list[Prediction]:
    """The predictions of all systems on all sources under all conditions, kept in `folder` as they come.

    A system is made by its function when its turn comes, so one is in memory at a time. `limit` is a sample of so many
    records, the same for all. `examples` is where shots come from, if not from the same source. `settings` are more
    of what the answers depend on, such as a policy.
    """
    found = []
    with Journal(folder) as journal:
        for system, make in systems.items():
            answerer = make()
            for data, whole in sources.items():
                source = whole if limit is None else Sample(whole, limit, seed)
                for condition in conditions:
                    under: dict[str, Setting] = {
                        SYSTEM: system,
                        DATA: data,
                        SHOTS: condition.shots,
                        CHANGE: condition.change,
                        STRENGTH: condition.strength,
                        "seed": seed,
                        **(settings or {}),
                    }
                    asked = condition.of(source, whole if examples is None else examples, seed)
                    what = " · ".join(filter(None, (system, data, str(condition))))
                    found += ask(
                        answerer,
                        asked,
                        journal,
                        under,
                        bad=bad,
                        keep_inputs=keep_inputs,
                        progress=partial(progress, what),
                    )
    return found


def transfer(
    train: Callable[[Source], Answerer],
    trained_on: Mapping[str, Source],
    scored_on: Mapping[str, Source],
    folder: str | Path,
    *,
    limit: int | None = None,
    seed: int = 0,
) -> list[Prediction]:
    """Train on each set and score on every one: the predictions of a table whose systems are called by their set."""
    systems = {name: partial(train, source) for name, source in trained_on.items()}
    return run(systems, scored_on, folder, limit=limit, seed=seed)
