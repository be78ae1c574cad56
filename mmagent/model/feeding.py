"""Media on their way into an input projector: padded together, and how many embeddings each becomes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from mmagent.errors import ModelError
from mmagent.model.pieces import Seen
from mmagent.model.projectors.spec import (
    GatedCrossAttentionSpec,
    GroupingSpec,
    LinearSpec,
    MLPSpec,
    PerceiverSpec,
    ProjectorSpec,
    QFormerSpec,
)

if TYPE_CHECKING:
    from mmagent.model.pieces import Array


def padded(media: Sequence[Seen], width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """The states of media of one modality as float32 `[B, L, D_in]`, zeros behind the shorter ones, and their mask
    `[B, L]`. ModelError for states of another width, or a medium of which nothing counts."""
    longest = max(len(medium.states) for medium in media)
    states = np.zeros((len(media), longest, width), dtype=np.float32)
    mask = np.zeros((len(media), longest), dtype=bool)
    for at, medium in enumerate(media):
        if medium.states.ndim != 2 or medium.states.shape[1] != width:
            raise ModelError(
                f"the states of this {medium.modality} are {list(medium.states.shape)}, its projector reads "
                f"[L, {width}]; encode it with the model's own encoder"
            )
        mask[at, : len(medium.states)] = counted(medium)
        if not mask[at].any():
            raise ModelError(f"no state of this {medium.modality} counts; its encoder gave an empty mask")
        states[at, : len(medium.states)] = medium.states
    states[~mask] = 0.0  # what does not count may hold anything, NaN too, and zero times NaN is NaN
    return torch.from_numpy(states).to(device), torch.from_numpy(mask).to(device)


def counted(medium: Seen) -> Array:
    """Which states of a medium count, bool `[L]`, to be written to."""
    if medium.mask is None:
        return np.ones(len(medium.states), dtype=bool)
    return np.array(medium.mask, dtype=bool)


def length(spec: ProjectorSpec, medium: Seen) -> int:
    """How many embeddings a projector makes of a medium, told without making them."""
    match spec:
        case LinearSpec():
            return int(counted(medium).sum())
        case MLPSpec(fold=fold):
            return int(np.add.reduceat(counted(medium), np.arange(0, len(medium.states), fold)).astype(bool).sum())
        case PerceiverSpec() | QFormerSpec():
            return spec.queries
        case GroupingSpec():
            return spec.groups[-1]
        case GatedCrossAttentionSpec():
            return 0
        case _:
            raise ModelError(f"a projector of kind {spec.kind} reads no media")
