"""Keeping captions from describing the prompt's examples in place of what the conversation is about."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import torch

from mmagent.model.signals import SignalTable
from mmagent.model.spans import Span, parse

if TYPE_CHECKING:
    from torch import Tensor


class Unheard:
    """A logits processor, a pure function of the generated ids: no caption holds one of `numbers`.
    Captions of `said` repeat the reply's words and may hold anything that it says."""

    def __init__(self, table: SignalTable, numbers: Collection[int], said: Collection[str]) -> None:
        self.table, self.said = table, frozenset(said)
        self._numbers = torch.tensor(sorted(numbers), dtype=torch.long)

    def __call__(self, ids: Sequence[Sequence[int]], logits: Tensor) -> Tensor:
        logits = logits.clone()
        for row, values in zip(ids, logits):
            parts = parse(self.table, row)
            last = parts[-1] if parts else None
            if isinstance(last, Span) and not last.signals and last.modality not in self.said:
                values[self._numbers] = -math.inf
        return logits
