"""Decoder-side alignment: span states learn to be what a generator takes, and the LLM when to ask for it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from pydantic import Field

from mmagent.model.projectors.query_transformer import QueryTransformer
from mmagent.training import losses
from mmagent.training.beginnings import Beginnings
from mmagent.training.lessons import Asked, Lesson, passed_on
from mmagent.training.making import Maker, Making
from mmagent.training.resuming import read_alike, resumes
from mmagent.training.stages.parted import Parted, chosen, part
from mmagent.training.stages.read_course import ReadCourse
from mmagent.training.stages.spec import Stage, Weight
from mmagent.training.states import States

if TYPE_CHECKING:
    from mmagent.model.parts import Parts
    from mmagent.training.order import Order
    from mmagent.training.stages.school import School


class AlignOutputs(Stage):
    """Distance to the generator's own conditioning of the caption, and cross-entropy of open ids and first signals
    (NExT-GPT, arXiv:2309.05519, 4.2; the weights are GILL's, arXiv:2305.17216). `denoising` adds the generator's loss.

    With `rows_in` frozen, nothing that states depend on trains: the LLM reads each lesson once, and an epoch touches
    neither it nor the generator. With `rows_in`, what comes before a span is frozen still: its keys and values are kept,
    and the LLM reads every batch from there on.
    """

    kind: Literal["align-outputs"]
    modalities: tuple[str, ...] = ()
    rows_in: bool = False
    signs: Weight = 0.5
    distance: Weight = 1.0
    denoising: Weight = 0.0
    null: float = Field(0.1, ge=0, lt=1)

    def part(self, parts: Parts) -> Parted:
        """Trained: `outputs.<modality>`, the rows out of its signals, and with `rows_in` those in. Frozen: the
        backbone, LoRA, input projectors, signals of other modalities."""
        names = self._modalities(parts)
        trained = {f"outputs.{name}": list(parts.part(f"outputs.{name}")) for name in names}
        rows = parts.rows
        trained |= {
            f"signals.{name}" if self.rows_in else f"signals.{name} (out)": [
                rows.of_out[name], *([rows.of_into[name]] if self.rows_in else [])
            ]
            for name in names
        }  # fmt: skip
        promised = [f"{kind}.{name}" for name in names for kind in ("outputs", "signals")]
        return part(parts, trained, promised)

    def course(self, school: School) -> KeptCourse | ReadCourse:
        names = self._modalities(school.parts)
        making = Making(
            school.parts, {name: school.maker(name) for name in names}, null=self.null,
            denoising=self.denoising > 0, distance=self.distance > 0,
        )  # fmt: skip
        terms = {"signs": self.signs}
        terms |= {f"distance.{name}": self.distance for name in names if self.distance}
        terms |= {f"denoising.{name}": self.denoising for name in names if self.denoising}
        order = school.lessons(words=False, signs=True)
        for name in names:
            if not school.parts.has_learnt(f"outputs.{name}"):
                _centre(school.parts, name, order.at(0), school.maker(name))
        if self.rows_in:
            kept = Beginnings(school.parts, names, school.folder, school.part) if resumes(school.parts) else None
            return ReadCourse(school.parts, order, terms, making, kept)
        return KeptCourse(school.parts, order, terms, making, States(school.parts, school.folder, school.part))

    def _modalities(self, parts: Parts) -> list[str]:
        return chosen(self.modalities, list(parts.outputs), "output projector", parts.spec.name)


def _centre(parts: Parts, modality: str, lessons: Sequence[Lesson], maker: Maker) -> None:
    """Have an untrained projector begin about what it is given, and with what is wanted of it on average."""
    projector = parts.outputs[modality]
    asked = [span for lesson in lessons for span in lesson.spans if span.modality == modality]
    if not isinstance(projector, QueryTransformer) or not asked:
        return
    with torch.no_grad():
        states = read_alike(parts.eval(), lessons).spans[modality].float()
    captions = list(dict.fromkeys(span.caption for span in asked))
    maker.targets.pack(captions)
    target, mask = maker.condition(captions, projector.queries.shape[1])
    projector.centre(states, target[mask].mean(dim=0).to(states))


@dataclass(frozen=True, slots=True, eq=False)
class _Kept:
    """A batch of which the LLM's states are known: `states` `[N, D]` and `rest` `[N]` before the ids `[N]`, counted
    from the first signal row; the spans asked for, and their states `[S, k, D]` by modality."""

    states: torch.Tensor
    rest: torch.Tensor
    ids: torch.Tensor
    spans: Mapping[str, torch.Tensor]
    asked: Sequence[Asked]


@dataclass(frozen=True)
class KeptCourse:
    """Terms `signs` and those of `making`, from states that were kept: the LLM takes no part in a step."""

    parts: Parts
    order: Order[Lesson]
    terms: Mapping[str, float]
    making: Making
    kept: States

    @property
    def modules(self) -> Mapping[str, torch.nn.Module]:
        return {"parts": self.parts}

    def at(self, number: int, seed: int) -> _Kept:
        return self.given(self.order.at(number))

    def given(self, samples: Sequence[Lesson]) -> _Kept:
        found = self.kept.of(samples)
        base, device = self.parts.rows.table.base, self.parts.device

        def joined(name: str) -> torch.Tensor:
            return torch.cat([_tensor(arrays[name]) for arrays in found if name in arrays]).to(device)

        ids = [lesson.id_at(at) - base for lesson in samples for at in lesson.supervised]
        asked = [span for lesson in samples for span in lesson.spans]
        modalities = dict.fromkeys(span.modality for span in asked)
        spans = {name: joined(f"spans.{name}") for name in modalities}
        return _Kept(joined("states"), joined("rest"), torch.tensor(ids, device=device), spans, asked)

    def counts(self, batch: _Kept) -> Mapping[str, int]:
        return {"signs": len(batch.ids), **self.making.counts(batch.asked)}

    def losses(self, batch: _Kept) -> Mapping[str, torch.Tensor]:
        signs = losses.signs(batch.states, self.parts.rows.out, batch.rest, batch.ids)
        return {"signs": signs, **self.making.losses(batch.spans, batch.asked)}

    def sample(self, folder: Path, step: int) -> None:
        """Nothing: a model that is saved can be asked."""

    def pack(self, samples: Sequence[Lesson]) -> None:
        self.kept.of(samples)
        self.making.pack([span for lesson in samples for span in lesson.spans])

    def exchanged(self, batch: _Kept) -> tuple[_Kept, Collection[str]] | None:
        """What spans ask for, of which signs know nothing."""
        asked = passed_on(batch.asked)
        return (replace(batch, asked=asked), self.terms.keys() - {"signs"}) if asked else None

    def flush(self) -> None:
        self.kept.flush()

    def close(self) -> None:
        self.kept.close()


def _tensor(array: Any) -> torch.Tensor:
    return torch.from_numpy(array.copy())  # what comes from a shard is a read-only map
