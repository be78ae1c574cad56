"""Frozen states of the LLM: what it thinks at the signal ids of lessons, kept as long as nothing that they depend on trains.

They depend on the backbone, LoRA, the input projectors and the signal rows in; not on rows out or output projectors.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from blake3 import blake3

from mmagent.model.saved import backbone_digest
from mmagent.training.resuming import read_alike
from mmagent.training.shards.form import digest_of
from mmagent.training.shards.packed import Kept, Packed

if TYPE_CHECKING:
    from mmagent.model.parts import Parts
    from mmagent.training.lessons import Lesson

    Array = np.ndarray[Any, np.dtype[Any]]


class States:
    """The states of lessons, in a folder of its own below `folder`; other weights are another folder.

    Of each lesson: `states` `[N, D]` before its N supervised ids, which are signals', `rest` `[N]`, the log of the sum
    of the exponentials of the vocabulary's logits there, and `spans.<modality>` `[S, k, D]`.
    """

    def __init__(self, parts: Parts, folder: Path, part: str = "0") -> None:
        self._parts = parts
        made = {"states": "signals", "parts": frozen_digest(parts)}
        self.folder = folder / f"states-{digest_of(made)[:16]}"
        self._packed = Packed(self.folder, made, part=part)

    def __len__(self) -> int:
        return len(self._packed)

    def of(self, lessons: Sequence[Lesson]) -> list[Mapping[str, Array]]:
        """What is kept of lessons; those that are missing are read now, and those beside them once more: what is made
        of a lesson depends a little on its neighbours."""
        keys = [lesson.key for lesson in lessons]
        if any(key not in self._packed for key in keys):
            for key, made in zip(keys, self._read(lessons), strict=True):
                self._packed.of(key, lambda made=made: Kept(made, {}))  # type: ignore[misc]  # mypy infers no lambda's default
        found = [self._packed.get(key) for key in keys]
        return [kept.arrays for kept in found if kept is not None]

    def flush(self) -> None:
        """Bring what was made to the disk."""
        self._packed.flush()

    def close(self) -> None:
        """Flush, and let other processes write."""
        self._packed.close()

    def _read(self, lessons: Sequence[Lesson]) -> list[dict[str, Array]]:
        with torch.no_grad():
            was = self._parts.training
            self._parts.eval()
            found = read_alike(self._parts, lessons)
            self._parts.train(was)
        vocabulary = found.logits[:, : self._parts.rows.table.base]
        states, rest = _array(found.states), _array(vocabulary.logsumexp(dim=-1))
        taken = dict.fromkeys(found.spans, 0)
        made: list[dict[str, Array]] = []
        for number, lesson in enumerate(lessons):
            mine = _array(found.owner == number).astype(bool)
            arrays = {"states": states[mine], "rest": rest[mine]}
            for modality in found.spans:
                n_spans = sum(span.modality == modality for span in lesson.spans)
                if n_spans:
                    of_lesson = found.spans[modality][taken[modality] : taken[modality] + n_spans]
                    arrays[f"spans.{modality}"] = _array(of_lesson)
                    taken[modality] += n_spans
            made.append(arrays)
        return made


def frozen_digest(parts: Parts, but: Collection[str] = ()) -> str:
    """What tells the weights that states depend on from any other (hex), `but` the rows in of some modalities."""
    left_out = ("outputs.", "rows.of_out.", *(f"rows.of_into.{name}" for name in but))
    hasher = blake3(backbone_digest(parts.backbone).encode())
    for name, value in sorted(parts.named_parameters()):
        if not name.startswith(left_out):
            hasher.update(f"{name}\0{list(value.shape)}\0".encode())
            hasher.update(_array(value).tobytes())
    return hasher.hexdigest()


def _array(values: torch.Tensor) -> Array:
    found: Array = values.detach().float().cpu().numpy()
    return found
