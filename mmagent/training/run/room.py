"""A run put together: the model loaded, its data as lessons, the stage's course."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mmagent.errors import ModelError
from mmagent.registry import registry as shared
from mmagent.training.data import BadRecords, Mix

if TYPE_CHECKING:
    from mmagent.model.parts import Parts
    from mmagent.registry import Registry
    from mmagent.training.run.spec import RunSpec
    from mmagent.training.shards import Features
    from mmagent.training.stages import Parted, School
    from mmagent.training.stages.spec import StageCourse


@dataclass(frozen=True)
class Room:
    """A run that is ready: what it trains (`parted`), on what (`school`), how (`course`), in how many batches."""

    parts: Parts
    parted: Parted
    school: School
    course: StageCourse
    features: Mapping[str, Features]
    n_batches: int

    def pack(self, report: Callable[[int, int], None] = lambda done, of: None) -> None:
        """Have everything frozen that the run needs made and brought to the disk: features, targets, states."""
        order = self.course.order
        places = order.places(self.n_batches)
        of = -(-len(places) // order.size)
        for done, items in enumerate(order.each(places), 1):
            if items:  # else all are bad
                self.course.pack(items)
            report(done, of)
        self.course.flush()
        for kept in self.features.values():
            kept.flush()


def open_room(
    spec: RunSpec, beside: Path, out: Path, stack: ExitStack, *, registry: Registry | None = None,
    device: str | None = None, part: str = "0", most: int | None = None,
) -> Room:  # fmt: skip
    """Load the model of a run and open its data; what has to be closed goes on the stack.

    `part` names what this process writes of what is kept; a batch has `most` records at most. ModelError, IntakeError and the like say what is missing.
    """
    from mmagent.model import ports, saved
    from mmagent.model.prompt import Prompter
    from mmagent.model.spec import read_spec
    from mmagent.training.lessons import Teacher
    from mmagent.training.making import Maker
    from mmagent.training.order import WINDOW
    from mmagent.training.shards import Features
    from mmagent.training.stages import School

    folder = model_folder(spec, beside)
    model = read_spec(folder)
    parts = saved.load(folder, features=ports.features(model, registry), conditions=ports.conditions(model, registry))
    where = device or chosen_device(spec.device)
    parts.backbone.model.to(where)
    parts.to(where)
    keep = out / "kept" if spec.keep is None else beside / spec.keep
    parted = spec.stage.part(parts)
    features: dict[str, Features] = {}
    for name in parts.inputs:
        encoder = model.inputs[name].encoder
        if encoder is not None:
            kind = (registry or shared).find(encoder.tool)
            features[name] = stack.enter_context(Features(kind, keep, encoder.settings, part=part))

    @functools.cache
    def maker(modality: str) -> Maker:
        generator = model.outputs[modality].generator
        if generator is None:
            raise ModelError(f"{model.name} names no generator for {modality}")
        made = Maker(generator, keep, registry, part)
        stack.callback(made.close)
        return made

    learnt = {
        name for name in model.outputs if f"signals.{name}" in parted.promised or parts.has_learnt(f"signals.{name}")
    }
    echoes = {name for name, output in model.outputs.items() if output.caption == "said"} - learnt
    prompter = Prompter(parts.backbone.tokens, parts.rows.table, model.system, parts.context, echoes, parts.n_positions)
    sources = [reader.open(beside, spec.recipe.seed) for reader in spec.data]
    weights = [reader.weight for reader in spec.data]
    if None in weights and any(weights):
        raise ModelError("some data sources have a weight and others none; give all of them one, or none")
    mix = Mix(sources, None if None in weights else [w or 0 for w in weights], size=spec.size, seed=spec.recipe.seed)
    teacher = Teacher(
        prompter,
        parts.rows.table,
        features,
        parts.n_positions,
        parts.context,
        spec.apart,
        parts.backbone.model.config.is_encoder_decoder,
    )
    bad = BadRecords(spec.bad, out / "bad.jsonl")
    batch = spec.batch if most is None else min(most, mix.size)
    window = WINDOW if most is None else 1  # a look at some records is to be at any, not at those of one length
    precision = spec.recipe.on(where).precision
    school = School(parts, mix, teacher, maker, keep, batch, bad, part, window, precision)
    course = spec.stage.course(school)
    stack.callback(course.close)
    return Room(parts, parted, school, course, features, spec.recipe.steps * spec.recipe.accumulate)


def model_folder(spec: RunSpec, beside: Path) -> Path:
    """Where the model that a run starts from is: beside the run file, or wherever its name leads."""
    from mmagent.model.zoo import place

    return place(beside / spec.model if (beside / spec.model / "model.yaml").is_file() else spec.model)


def chosen_device(wanted: str) -> str:
    """The device that `auto` stands for: CUDA where there is one, else the CPU."""
    import torch

    return wanted if wanted != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
