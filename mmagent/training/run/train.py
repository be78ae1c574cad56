"""The run itself: what is frozen is made once, then steps, then the model is saved with what was trained."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from mmagent.errors import ModelError
from mmagent.training import checkpoint, log
from mmagent.training.loop import fit
from mmagent.training.processes import Processes
from mmagent.training.run.room import model_folder, open_room

if TYPE_CHECKING:
    from accelerate import Accelerator

    from mmagent.registry import Registry
    from mmagent.training.run.spec import RunSpec

MODEL = "model"
"""The folder below a run's that holds the trained model."""
RUN = "run.json"


def train(
    spec: RunSpec, beside: Path, out: Path, *, resume: bool = False, minutes: float = math.inf,
    report: log.Report | None = None, packing: Callable[[int, int], None] = lambda done, of: None,
    skipping: Callable[[int], None] = lambda n_bad: None, accelerator: Accelerator | None = None,
    registry: Registry | None = None,
) -> Path | None:  # fmt: skip
    """Carry out a run in the folder `out`; the trained model's folder, or None if it was stopped before its last step.

    `resume` goes on with a run that was stopped, and refuses one that was another; without it a folder that holds a
    run is refused. `skipping` is told before the first step how many records are bad, if any. ModelError and the like
    say what cannot be done.
    """
    from mmagent.model import saved

    processes = Processes(accelerator)
    _claim(spec, beside, out, resume, processes)
    with ExitStack() as stack:
        device = None if accelerator is None else str(accelerator.device)
        if not processes.first:
            processes.wait()  # what the first one makes is found when the files are opened
        room = open_room(spec, beside, out, stack, registry=registry, device=device, part=str(processes.rank))
        if processes.first:
            room.pack(packing)
            if n_bad := room.school.bad.count if room.school.bad else 0:
                skipping(n_bad)
            processes.wait()
        board = log.board(out) if processes.first else None

        def told(step: int, steps: int, losses: Mapping[str, float]) -> None:
            for one in (board, report):
                if one is not None:
                    one(step, steps, losses)

        step = fit(room.course, spec.recipe, out, minutes=minutes, report=told, accelerator=accelerator)
        if not processes.first:
            return None
        made = None
        if step == spec.recipe.steps:
            room.parts.trained |= set(room.parted.promised)
            made = saved.save(room.parts, out / MODEL)
        log.plot(out)
        return made


def _claim(spec: RunSpec, beside: Path, out: Path, resume: bool, processes: Processes) -> None:
    """Have the folder be this run's; ModelError if it is another's, or holds one that is not to go on.

    A run is told by its file, and by what is in the files that it reads: those of its model and its data, media left out.
    """
    from mmagent.model import saved

    path = out / RUN
    read = {"model's content": saved.digest(model_folder(spec, beside))}
    read |= {f"content of data.{number}": reader.digest(beside) for number, reader in enumerate(spec.data)}
    told = json.loads(json.dumps({**spec.told(), **read}))
    if (out / checkpoint.NAME).exists():
        if not resume:
            raise ModelError(f"{out} holds a run already; go on with it by --resume, or name another folder")
        # What runs did not tell at first was so.
        before = {"apart": False} | read | (json.loads(path.read_text("utf-8")) if path.exists() else told)
        differs = sorted(
            key for key in (told.keys() | before.keys()) - {"recipe"} if told.get(key) != before.get(key)
        ) + spec.recipe.differs(before["recipe"])  # fmt: skip
        if differs:
            raise ModelError(
                f"{out} holds a run whose {', '.join(differs)} is another; give it what it had, or another folder"
            )
    processes.wait()
    if processes.first:
        out.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(told, indent=1) + "\n", "utf-8")
