"""The decode loop: prompts in, one token a row and step out, until every row has ended.

It knows embeddings, masks and logits; what the ids mean is the business of its processors.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from mmagent.model.signals import SignalRows

if TYPE_CHECKING:
    from torch import Tensor

Processor = Callable[[Sequence[Sequence[int]], "Tensor"], "Tensor"]
"""Generated ids of each row and logits `[B, V + n]` to logits."""

Chooser = Callable[["Tensor"], list[int]]
"""Logits `[B, V + n]` to the next id of each row."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step: the id that each row goes on with (None where it has ended), and the hidden states `[B, D]` of
    the tokens before them, from which they were predicted."""

    ids: tuple[int | None, ...]
    hidden: Tensor


class Prefix:
    """A prompt's beginning, read once and continued many times."""

    def __init__(self, rows: SignalRows, ids: Sequence[int]) -> None:
        self.ids, self._rows = tuple(ids), rows
        self._cache = rows.backbone.cache()
        with torch.no_grad():
            inputs = rows.embed(self.ids)[None]  # [1, T, E]
            self.n_positions = inputs.shape[1]
            found = rows.backbone.forward(inputs, torch.ones(1, self.n_positions, dtype=torch.long), self._cache)
        self._last = found.logits[0, -1].log_softmax(-1)  # [V]

    def log_likelihood(self, ids: Sequence[int]) -> float:
        """The log-probability, in nats, of going on with `ids`, by the backbone's own logits."""
        rest = torch.tensor(ids)
        total = self._last[rest[0]]
        if len(ids) > 1:
            mask = torch.ones(1, self.n_positions + len(ids) - 1, dtype=torch.long)
            cache = copy.deepcopy(self._cache)  # a few MB; not every cache can be cut back, and threads share this one
            with torch.no_grad():
                inputs = self._rows.embed(ids[:-1])[None]
                found = self._rows.backbone.forward(inputs, mask, cache, keep=len(ids) - 1)
            total = total + found.logits[0].log_softmax(-1).gather(1, rest[1:, None]).sum()
        return float(total)


def decode(
    rows: SignalRows, prompts: Sequence[Sequence[int]], processors: Sequence[Processor], choose: Chooser,
    ends: Collection[int],
) -> Iterator[Step]:  # fmt: skip
    """Continue `prompts`, each as it would be alone, until each has chosen an id of `ends`.

    The processors see to it that every row ends. A row's end id comes with the state of the token before it, so
    that every token of a reply has one.
    """
    device = rows.into.device
    cache = rows.backbone.cache()
    fed = [list(prompt) for prompt in prompts]
    said: list[list[int]] = [[] for _ in prompts]
    open_rows = [True] * len(prompts)
    mask = torch.zeros(len(prompts), 0, dtype=torch.long, device=device)  # [B, S]
    while any(open_rows):
        inputs, counted = _pad_left([rows.embed(ids) for ids in fed])  # [B, T, E], [B, T]
        mask = torch.cat([mask, counted.to(device)], dim=1)
        with torch.no_grad():
            found = rows.backbone.forward(inputs, mask, cache)
            hidden = found.hidden[:, -1]  # [B, D]
            logits = rows.logits(found.logits[:, -1], hidden)  # [B, V + n]
            for process in processors:
                logits = process(said, logits)
        chosen = choose(logits)
        step = tuple(number if going else None for number, going in zip(chosen, open_rows))
        yield Step(step, hidden)
        open_rows = [going and number not in ends for number, going in zip(chosen, open_rows)]
        # A row that has ended is fed its end id on: it is not looked at again, and rows do not see each other.
        fed = [[number] for number in chosen]
        for row, number, going in zip(said, chosen, open_rows):
            if going:
                row.append(number)


def _pad_left(rows: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Rows `[T_b, E]` of different lengths as `[B, T, E]`, zeros before the shorter ones, with their mask `[B, T]`."""
    length = max(len(row) for row in rows)
    inputs = rows[0].new_zeros(len(rows), length, rows[0].shape[1])
    mask = torch.zeros(len(rows), length, dtype=torch.long)
    for at, row in enumerate(rows):
        inputs[at, length - len(row) :] = row
        mask[at, length - len(row) :] = 1
    return inputs, mask


class Sampler:
    """Chooses the next ids: the most probable at temperature 0, else drawn from a generator seeded once a request.

    `top_p` keeps the smallest set of ids whose probability reaches it (Holtzman et al. 2020).
    """

    def __init__(self, temperature: float = 0.0, seed: int = 0, top_p: float = 0.95) -> None:
        self._temperature, self._top_p = temperature, top_p
        self._generator = torch.Generator().manual_seed(seed)

    def __call__(self, logits: Tensor) -> list[int]:
        if self._temperature == 0:
            return [int(number) for number in logits.argmax(dim=-1)]
        values, order = (logits.float() / self._temperature).softmax(dim=-1).sort(dim=-1, descending=True)
        before = values.cumsum(dim=-1) - values  # probability of everything more probable
        kept = values.masked_fill(before > self._top_p, 0.0)
        drawn = torch.multinomial(kept.cpu(), 1, generator=self._generator)  # [B, 1]
        return [int(number) for number in order.cpu().gather(1, drawn)[:, 0]]
