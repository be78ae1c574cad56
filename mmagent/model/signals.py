"""Signals by id, never by string: token ids above the vocabulary, and their rows beside the frozen matrices.

No tokenizer holds these ids, so no text can become one. It knows nothing of what a span means.
"""

from __future__ import annotations

import copy
import zlib
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

    Each modality's rows are parameters of their own, so that one can be trained without the others. `reads` gives,
    for ids whose rows are not trained, the ordinary ids that they are read as; their rows start from those.
    """

    def __init__(
        self, backbone: Backbone, table: SignalTable, reads: Mapping[int, Sequence[int]] | None = None, seed: int = 0
    ) -> None:
        super().__init__()
        table.check(backbone)
        self.backbone, self.table = backbone, table
        self.reads = {number: tuple(ids) for number, ids in (reads or {}).items()}
        stretch = _stretch(backbone)
        self.of_into = nn.ParameterDict(
            {row.modality: _rows(backbone.in_rows, row, self.reads, seed, stretch) for row in table}
        )
        self.of_out = nn.ParameterDict({row.modality: _rows(backbone.out_rows, row, self.reads, seed) for row in table})

    @property
    def into(self) -> Tensor:
        """The in rows `[n, E]` of all ids, in their order."""
        return _joined(self.of_into, self.backbone.in_rows)

    @property
    def out(self) -> Tensor:
        """The out rows `[n, D]` of all ids, in their order."""
        return _joined(self.of_out, self.backbone.out_rows)

    def spelt(self, reads: Mapping[int, Sequence[int]]) -> SignalRows:
        """The same rows, of which those of `reads` are read as ordinary ids."""
        other = copy.copy(self)
        other.reads = {number: tuple(ids) for number, ids in reads.items()}
        return other

    def embed(self, ids: Sequence[int]) -> Tensor:
        """The embeddings `[T, E]` of ids, signal ids among them; T is more than their number where ids are read as words."""
        spelled = [spelt for number in ids for spelt in self.reads.get(number, (number,))]
        numbers = torch.tensor(spelled, dtype=torch.long, device=self.backbone.in_rows.device)
        own = numbers >= self.table.base
        embedded = self.backbone.embed(numbers.masked_fill(own, 0))  # [T, E]
        if own.any():
            rows = self.into[numbers[own] - self.table.base].to(embedded.dtype)
            embedded = embedded.masked_scatter(own[:, None], rows)
        return embedded

    def n_positions(self, ids: Sequence[int]) -> int:
        """How many embeddings ids are read as."""
        return sum(len(self.reads.get(number, (number,))) for number in ids)

    def logits(self, frozen: Tensor, hidden: Tensor) -> Tensor:
        """The logits `[..., V + n]`, float32, over tokens and signals, from the backbone's own `[..., V]` and its states `[..., D]`."""
        return torch.cat([frozen.float(), self.backbone.bend(hidden.float() @ self.out.T)], dim=-1)


def _joined(rows: nn.ParameterDict, like: Tensor) -> Tensor:
    return torch.cat(list(rows.values())) if rows else like[:0].detach().float()


def _stretch(backbone: Backbone) -> float:
    """How much longer embeddings are than the rows that they are made of: some models scale them."""
    rows = backbone.in_rows[:64].detach().float()
    made = backbone.embed(torch.arange(len(rows), device=rows.device)).detach().float()
    return float(made.norm() / rows.norm())


def _rows(
    matrix: Tensor, row: SignalIds, reads: Mapping[int, Sequence[int]], seed: int, stretch: float = 1.0
) -> nn.Parameter:
    """Starting rows: the mean of the words that an id is read as, and a tenth of the matrix's spread on top, `stretch`
    times as long.

    Rows that start at one point (the mean of all rows, say) get the same gradients and stay alike. What is drawn
    for a modality does not depend on which others there are.
    """
    matrix = matrix.detach().float()
    means = [
        (matrix[list(reads[number])] if reads.get(number) else matrix).mean(dim=0)
        for number in (row.open, *row.signals)
    ]
    generator = torch.Generator().manual_seed(zlib.crc32(f"{seed}:{row.modality}".encode()))
    noise = torch.randn(len(means), matrix.shape[1], generator=generator).to(matrix.device)
    return nn.Parameter(stretch * (torch.stack(means) + 0.1 * matrix.std(dim=0) * noise))  # [1 + k, E]
