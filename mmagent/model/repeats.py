"""Keeping a small model from going round in circles: what it has said in this reply becomes less probable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from mmagent.model.signals import SignalTable
from mmagent.model.spans import TextRun, parse

if TYPE_CHECKING:
    from torch import Tensor


class RepeatPenalty:
    """A logits processor, a pure function of the ids: in a reply's words, the logits of ids that the same
    run of words holds already are lowered by `penalty` (Keskar et al. 2019). Captions may repeat the words."""

    def __init__(self, table: SignalTable, penalty: float = 1.1) -> None:
        self.table, self.penalty = table, penalty

    def __call__(self, ids: Sequence[Sequence[int]], logits: Tensor) -> Tensor:
        logits = logits.clone()
        for row, values in zip(ids, logits):
            parts = parse(self.table, row)
            if parts and isinstance(parts[-1], TextRun):
                said = torch.tensor(sorted(set(parts[-1].ids)), device=values.device)
                # The formula of the paper, on raw logits: dividing what is positive, multiplying what is negative.
                values[said] = torch.where(values[said] > 0, values[said] / self.penalty, values[said] * self.penalty)
        return logits
