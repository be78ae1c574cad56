"""The decode loop: prompts in, one token a row and step out, until every row has ended.

It knows embeddings, masks and logits; what the ids mean is the business of its processors.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Union

import torch

from mmagent.checkpoint.threads import modest
from mmagent.model.signals import SignalRows

if TYPE_CHECKING:
    from torch import Tensor

    from mmagent.model.beside import Beside

Processor = Callable[[Sequence[Sequence[int]], "Tensor"], "Tensor"]
"""Generated ids of each row and logits `[B, V + n]` to logits. Which ids it leaves above −∞ depends on the ids alone."""

Prompt = Union[Sequence[int], "Tensor"]
"""The ids of a prompt, or its embeddings `[T, E]` where media stand among them (`Parts.embed`)."""

Chooser = Callable[["Tensor"], list[int]]
"""Logits `[B, V + n]` to the next id of each row."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step: the id that each row goes on with (None where it has ended), and the hidden states `[B, D]` of
    the tokens before them, from which they were predicted."""

    ids: tuple[int | None, ...]
    hidden: Tensor


class Prefix:
    """Beginnings of prompts, one a row, read once and continued many times. `beside` is what stands beside them."""

    def __init__(self, rows: SignalRows, prompts: Sequence[Prompt], beside: Beside | None = None) -> None:
        self._rows, self._cache = rows, _read(rows, prompts, rows.backbone.cache(), beside)

    def resume(self) -> Any:
        """A cache of what was read, to go on from."""
        return self._cache.fork()

    @functools.cached_property
    def _first(self) -> Tensor:
        """The log-probabilities `[B, V]` of the first id of a reply."""
        with modest(), torch.no_grad():
            return self._rows.backbone.begin(self._cache).logits[:, -1].float().log_softmax(-1)

    def log_likelihoods(self, ids: Sequence[int]) -> list[float]:
        """The log-probability, in nats, of replying with `ids` to each prompt, by the backbone's own logits."""
        first = self._first
        rest = torch.tensor(ids, device=first.device)  # [n]
        total = first[:, rest[0]]  # [B]
        with modest(), torch.no_grad():
            if len(ids) > 1:
                inputs = self._rows.embed(ids[:-1]).expand(len(first), -1, -1)  # [B, n - 1, E]
                mask = inputs.new_ones(inputs.shape[:2], dtype=torch.long)
                found = self._rows.backbone.forward(inputs, mask, self.resume(), keep=len(ids) - 1)
                logs = found.logits.float().log_softmax(-1)  # [B, n - 1, V]
                total = total + logs.gather(-1, rest[1:, None].expand(len(first), -1, 1)).sum(dim=(1, 2))
        return [float(number) for number in total]


def decode(
    rows: SignalRows, prompts: Sequence[Prompt], processors: Sequence[Processor], choose: Chooser,
    ends: Collection[int], prefix: Prefix | None = None, beside: Beside | None = None,
) -> Iterator[Step]:  # fmt: skip
    """Reply to `prompts`, each as it would be alone, until each has chosen an id of `ends`.

    `prefix` holds what stands before each of them, `beside` what stands beside them. The processors see to it that
    every row ends. A row's end id comes with the state of the token before it, so that every token of a reply has
    one. Where the processors leave every row one id alone, the model is not asked: such ids are read together with
    the next one. Wherever the backbone lies, processors, chooser and steps have their tensors in main memory, as
    float32.
    """
    cache = _read(rows, prompts, prefix.resume() if prefix else rows.backbone.cache(), beside)
    fed: list[list[int]] = [[] for _ in prompts]
    said: list[list[int]] = [[] for _ in prompts]
    open_rows = [True] * len(prompts)
    forced: list[list[int]] = []  # ids of each row, chosen since the last pass
    while any(open_rows):
        with modest(), torch.no_grad():
            if any(fed):
                found = rows.backbone.forward(*_pad_left([rows.embed(ids) for ids in fed]), cache)
            else:
                found = rows.backbone.begin(cache)
            # Where the id before each forced one ends, counted from the end.
            ends_at = [[-1 - rows.n_positions(row[at:]) for row in fed] for at in range(1, len(forced) + 1)]
            steps = [_step(ids, open_rows, found.hidden[range(len(fed)), at]) for ids, at in zip(forced, ends_at)]
            hidden = found.hidden[:, -1]  # [B, D]
            logits = rows.logits(found.logits[:, -1], hidden).cpu()  # [B, V + n]
            for process in processors:
                logits = process(said, logits)
            chosen = choose(logits)
        yield from steps
        yield _step(chosen, open_rows, hidden)
        open_rows = [going and number not in ends for number, going in zip(chosen, open_rows)]
        # A row that has ended is fed its end id on: it is not looked at again, and rows do not see each other.
        fed, forced = [[number] for number in chosen], []
        _add(said, chosen, open_rows)
        with modest():
            while all(open_rows) and (only := _only(processors, said, logits, ends)):
                forced.append(only)
                _add(fed, only, open_rows)
                _add(said, only, open_rows)


def _step(chosen: Sequence[int], going: Sequence[bool], hidden: Tensor) -> Step:
    return Step(tuple(number if goes else None for number, goes in zip(chosen, going)), hidden.float().cpu())


def _add(rows: Sequence[list[int]], chosen: Sequence[int], going: Sequence[bool]) -> None:
    for row, number, goes in zip(rows, chosen, going):
        if goes:
            row.append(number)


def _only(
    processors: Sequence[Processor], said: Sequence[Sequence[int]], like: Tensor, ends: Collection[int]
) -> list[int] | None:
    """The next id of every row, if each has one alone that may follow and it ends nothing."""
    logits = torch.zeros_like(like)
    for process in processors:
        logits = process(said, logits)
    allowed = logits > -math.inf  # [B, V + n]
    chosen = [int(number) for number in allowed.int().argmax(dim=-1)]
    return chosen if bool((allowed.sum(dim=-1) == 1).all()) and not set(chosen) & set(ends) else None


def _read(rows: SignalRows, prompts: Sequence[Prompt], cache: Any, beside: Beside | None) -> Any:
    """The cache, prompts read into it."""
    with modest(), torch.no_grad():
        embedded = [prompt if isinstance(prompt, torch.Tensor) else rows.embed(prompt) for prompt in prompts]
        rows.backbone.read(*_pad_left(embedded), cache, beside)
    return cache


def _pad_left(rows: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Rows `[T_b, E]` of different lengths as `[B, T, E]`, zeros before the shorter ones, with their mask `[B, T]`."""
    length = max(len(row) for row in rows)
    inputs = rows[0].new_zeros(len(rows), length, rows[0].shape[1])
    mask = inputs.new_zeros(len(rows), length, dtype=torch.long)
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
