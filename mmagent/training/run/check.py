"""Whether a run can work, found out before it begins: joints, trained parts, eight samples learnt by heart, the same
with media exchanged, and what it would take. Nothing of it is kept."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmagent.errors import MMAgentError
from mmagent.training.loop import fit
from mmagent.training.recipe import Recipe
from mmagent.training.run.joints import joints
from mmagent.training.run.room import Room, open_room

if TYPE_CHECKING:
    import torch

    from mmagent.registry import Registry
    from mmagent.training import log
    from mmagent.training.run.spec import RunSpec

SAMPLES = 8
STEPS = 100
LEARNT = {"prefer": 0.95}
"""What is left at most of the first loss when the samples have been learnt by heart: half of it in other stages. A
preference of some nats is much, and moves its loss little."""
MISSED = 0.1
"""The share of what was learnt of some term that is lost at least when samples are given each other's media or targets."""


@dataclass(frozen=True)
class Found:
    """What a check has found; `faults` are why the run cannot work.

    `seconds` of a step and `hours` of all steps are those of one process, `packing` the hours before them in which what
    is frozen is made, loading left out. `memory` is the most bytes that this process held, with a batch of the run's size.
    """

    joints: tuple[str, ...] = ()
    trained: Mapping[str, int] | None = None
    frozen: Mapping[str, int] | None = None
    before: float = math.nan
    after: float = math.nan
    exchanged: float = math.nan
    seconds: float = math.nan
    hours: float = math.nan
    packing: float = math.nan
    memory: int = 0
    faults: tuple[str, ...] = ()

    @property
    def works(self) -> bool:
        return not self.faults

    def as_data(self) -> dict[str, Any]:
        """All of it as plain data; what was not measured is None."""
        told = {
            key: None if isinstance(value, float) and math.isnan(value) else value
            for key, value in asdict(self).items()
        }
        return {**told, "works": self.works}

    def lines(self) -> list[str]:
        """All of it for people."""
        lines = [*self.joints]
        lines += [f"trained: {name}, {count:,} parameters" for name, count in (self.trained or {}).items()]
        lines += [f"frozen: {name}, {count:,} parameters" for name, count in (self.frozen or {}).items()]
        if not math.isnan(self.after):
            lines.append(f"samples by heart: loss {self.before:.4g} to {self.after:.4g} in {STEPS} steps")
        if not math.isnan(self.exchanged):
            lines.append(f"with media or targets exchanged: loss {self.exchanged:.4g}")
        if not math.isnan(self.hours):
            lines.append(
                f"a step: {self.seconds:.3g} s; the run: {self.hours:.3g} h on one process, after {self.packing:.3g} h to "
                f"make what is frozen; memory: {self.memory / 1e6:,.0f} MB"
            )
        return [*lines, *(f"cannot work: {fault}" for fault in self.faults)]


def check(spec: RunSpec, beside: Path, *, report: log.Report | None = None, registry: Registry | None = None) -> Found:
    """Check a run; what is wrong with its model or its data is a fault like any other."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        try:
            room = open_room(spec, beside, folder, stack, registry=registry, most=SAMPLES)
            few, many, packing = _samples(spec, room)
        except MMAgentError as error:
            return Found(faults=(str(error),))
        found = Found(tuple(joints(room.parts)), room.parted.trained, room.parted.frozen, packing=packing)
        try:
            found = _by_heart(spec, room, room.course.given(few), folder, found, report)
            return _measured(spec, room, room.course.given(many), folder, found)
        except MMAgentError as error:
            return replace(found, faults=(str(error),))


def _samples(spec: RunSpec, room: Room) -> tuple[list[Any], list[Any], float]:
    """Samples to learn by heart, a batch of the run's size, and the hours that it takes to make what is frozen."""
    course = room.course
    few = list(course.order.at(0))
    course.pack(few)  # loads encoders, generators and the LLM
    begun = time.perf_counter()
    n = max(2, -(-spec.batch // course.order.size))
    more = [sample for number in range(1, n) for sample in course.order.at(number)]
    course.pack(more)
    seconds = (time.perf_counter() - begun) / len(more)
    n_drawn = spec.recipe.steps * spec.recipe.accumulate * spec.batch
    n_records = len(course.order.places(-(-n_drawn // course.order.size)))
    return few, (few + more)[: spec.batch], seconds * n_records / 3600


class _ByHeart:
    """The course over one batch, whatever the step."""

    def __init__(self, room: Room, batch: Any) -> None:
        self._room, self._batch = room, batch
        self.terms = room.course.terms

    @property
    def modules(self) -> Mapping[str, torch.nn.Module]:
        return self._room.course.modules

    def at(self, number: int, seed: int) -> Any:
        return self._batch

    def counts(self, batch: Any) -> Mapping[str, int]:
        return self._room.course.counts(batch)

    def losses(self, batch: Any) -> Mapping[str, torch.Tensor]:
        return self._room.course.losses(batch)

    def sample(self, folder: Path, step: int) -> None:
        """Nothing is looked at."""


def _by_heart(spec: RunSpec, room: Room, batch: Any, folder: Path, found: Found, report: log.Report | None) -> Found:
    before = _losses(room, batch)
    fit(_ByHeart(room, batch), _recipe(spec, STEPS), folder / "by-heart", report=report)
    after = _losses(room, batch)
    other, mind = room.course.exchanged(batch) or (None, ())
    exchanged = {} if other is None else _losses(room, other)
    return replace(
        found, before=_sum(before), after=_sum(after), exchanged=_sum(exchanged) if exchanged else math.nan,
        faults=tuple(_faults(room.school.batch, before, after, exchanged, mind, spec.stage.kind)),
    )  # fmt: skip


def _measured(spec: RunSpec, room: Room, batch: Any, folder: Path, found: Found) -> Found:
    """The same with what a step takes, of which the first two warm up."""
    ticks = list[float]()

    def tick() -> bool:
        ticks.append(time.perf_counter())
        return False

    fit(_ByHeart(room, batch), _recipe(spec, 3), folder / "measured", stop=tick)
    step = (ticks[2] - ticks[1]) * spec.recipe.accumulate
    return replace(found, seconds=step, hours=step * spec.recipe.steps / 3600, memory=_memory(room))


def _recipe(spec: RunSpec, steps: int) -> Recipe:
    return Recipe(
        steps, rate=max(spec.recipe.rate, 1e-3), warmup=5, decay=0.0, average=0.0, schedule="constant",
        keep_every=steps + 1, sample_every=steps + 1, precision=spec.recipe.precision,
    )  # fmt: skip


def _faults(
    n_samples: int, before: Terms, after: Terms, exchanged: Terms, mind: Collection[str], kind: str
) -> Iterator[str]:
    """What the losses say against the run: of the samples at first, at last, and with media or targets exchanged, which
    the terms `mind`."""
    if not _sum(after) < LEARNT.get(kind, 0.5) * _sum(before):
        yield (
            f"{n_samples} samples are not learnt by heart in {STEPS} steps: the loss goes from {_sum(before):.4g} to "
            f"{_sum(after):.4g}; look at the data, raise recipe.rate, or train more parts"
        )
        return
    # A term that has not been learnt well yet tells nothing.
    told = [name for name in exchanged if name in mind and after[name] < 0.5 * before[name]]
    if told and not any(exchanged[name] - after[name] > MISSED * (before[name] - after[name]) for name in told):
        yield (
            f"with media or targets exchanged the loss is {_sum(exchanged):.4g}, with their own {_sum(after):.4g}: what "
            "is learnt does not depend on them; the words tell it already, all samples have the same answer, or their "
            "encoder makes the same of all media"
        )


Terms = Mapping[str, float]


def _losses(room: Room, batch: Any) -> Terms:
    """The weighed terms of a batch as the model is now, with the same random numbers each time."""
    import torch

    room.parts.eval()
    torch.manual_seed(0)
    with torch.no_grad():
        told = room.course.losses(batch)
    return {name: float(told[name]) * weight for name, weight in room.course.terms.items() if name in told}


def _sum(terms: Terms) -> float:
    return sum(terms.values())


def _memory(room: Room) -> int:
    """The most bytes that this process has held so far; on a GPU, there."""
    import torch

    if room.parts.device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(room.parts.device))
    import resource
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
