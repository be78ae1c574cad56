"""Signals by id, never by string: token ids above the vocabulary, and their rows beside the frozen matrices.

No tokenizer holds these ids, so no text can become one. It knows nothing of what a span means.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from mmagent.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor

    from mmagent.model.backbones import Backbone


@dataclass(frozen=True, slots=True)
class SignalIds:
    """The ids of one modality: what opens a span, and the k contiguous ids that close it."""

    modality: str
    open: int
    k: int

    @property
    def signals(self) -> range:
        """The k signal ids, in the order in which a span ends with them."""
        return range(self.open + 1, self.open + 1 + self.k)


class SignalTable:
    """The ids of every modality out: from `base` (the size of the vocabulary) on, an open id and k signal ids each.

    >>> table = SignalTable(100, {"image": 2, "speech": 1})
    >>> table["image"].open, list(table["image"].signals), table["speech"].open, table.end
    (100, [101, 102], 103, 105)
    """

    def __init__(self, base: int, sizes: Mapping[str, int]) -> None:
        self.base, self.sizes = base, dict(sizes)
        self._rows: dict[str, SignalIds] = {}
        at = base
        for modality, k in sizes.items():
            if k < 1:
                raise ModelError(f"modality {modality} has {k} signal tokens; a span ends with at least one")
            self._rows[modality] = SignalIds(modality, at, k)
            at += 1 + k
        self.end = at
        self._owners = {number: row for row in self for number in (row.open, *row.signals)}

    def __iter__(self) -> Iterator[SignalIds]:
        return iter(self._rows.values())

    def __getitem__(self, modality: str) -> SignalIds:
        try:
            return self._rows[modality]
        except KeyError:
            known = ", ".join(self._rows) or "nothing"
            raise ModelError(f"the model has no signal tokens for {modality!r}; it can ask for {known}") from None

    def __len__(self) -> int:
        return self.end - self.base

    @property
    def modalities(self) -> tuple[str, ...]:
        """What can be asked for, in order of ids."""
        return tuple(self._rows)

    def owner(self, number: int) -> SignalIds | None:
        """The modality that an id belongs to, or None for an ordinary token."""
        return self._owners.get(number)

    def check(self, backbone: Backbone) -> None:
        """ModelError unless the ids begin where the backbone's vocabulary ends and its tokenizer has none of them."""
        if self.base != backbone.n_vocab or backbone.tokens.n_ids > self.base:
            raise ModelError(
                f"signal ids begin at {self.base}, but the backbone has {backbone.n_vocab} logits and its tokenizer "
                f"{backbone.tokens.n_ids} ids; make the table for this backbone"
            )


class SignalRows(nn.Module):
    """The in rows `[n, E]` and out rows `[n, D]` of n signal ids, float32, beside matrices that are never resized.

    `reads` gives, for ids whose rows are not trained, the ordinary ids that they are read as.
    """

    def __init__(self, backbone: Backbone, table: SignalTable, reads: Mapping[int, Sequence[int]]) -> None:
        super().__init__()
        table.check(backbone)
        self.backbone, self.table = backbone, table
        self.reads = {number: tuple(ids) for number, ids in reads.items()}
        generator = torch.Generator().manual_seed(0)
        self.into = nn.Parameter(_rows(backbone.in_rows, table, self.reads, generator))  # [n, E]
        self.out = nn.Parameter(_rows(backbone.out_rows, table, self.reads, generator))  # [n, D]

    def embed(self, ids: Sequence[int]) -> Tensor:
        """The embeddings `[T, E]` of ids, signal ids among them; T is more than their number where ids are read as words."""
        spelled = [spelt for number in ids for spelt in self.reads.get(number, (number,))]
        numbers = torch.tensor(spelled, dtype=torch.long)
        own = numbers >= self.table.base
        embedded = self.backbone.embed(numbers.masked_fill(own, 0))  # [T, E]
        if own.any():
            embedded = embedded.masked_scatter(own[:, None], self.into[numbers[own] - self.table.base])
        return embedded

    def n_positions(self, ids: Sequence[int]) -> int:
        """How many embeddings ids are read as."""
        return sum(len(self.reads.get(number, (number,))) for number in ids)

    def logits(self, frozen: Tensor, hidden: Tensor) -> Tensor:
        """The logits `[B, V + n]` over tokens and signals, from the backbone's own `[B, V]` and its states `[B, D]`."""
        return torch.cat([frozen, hidden @ self.out.T], dim=-1)


def _rows(matrix: Tensor, table: SignalTable, reads: Mapping[int, Sequence[int]], generator: torch.Generator) -> Tensor:
    """Starting rows: the mean of the words that an id is read as, and a tenth of the matrix's spread on top.

    Rows that start at one point (the mean of all rows, say) get the same gradients and stay alike.
    """
    matrix = matrix.detach().float()
    spread = matrix.std(dim=0)  # [E]
    rows = [
        (matrix[list(reads[number])] if reads.get(number) else matrix).mean(dim=0)
        for number in range(table.base, table.end)
    ]
    noise = torch.randn(len(table), matrix.shape[1], generator=generator)
    return torch.stack(rows) + 0.1 * spread * noise if rows else matrix[:0].clone()
