"""Spans: how media is asked for inside a reply, as a state machine over token ids.

    text → open → caption → signal 1 … signal k → text

The machine is a pure function of the ids generated so far: it holds no state between steps or requests, so the
same ids give the same mask in whatever order, batch or process they are asked about. It knows ids, never text.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from mmagent.conversation import Policy
from mmagent.errors import ModelError
from mmagent.model.signals import SignalIds, SignalTable

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Rules:
    """What one reply may hold: at least `force` and at most `limit` spans of a modality, `max_spans` in all, captions
    of `caption` ids at most, and `max_tokens` ids, the end token apart. A forced span keeps room for a caption of
    `room` ids."""

    force: Mapping[str, int]
    limit: Mapping[str, int]
    max_spans: int
    caption: Mapping[str, int]
    max_tokens: int
    room: int = 1

    @classmethod
    def of(cls, policy: Policy, table: SignalTable, makeable: Collection[str],
           wanted: Sequence[str] = (), said: Collection[str] = ()) -> Rules:  # fmt: skip
        """The rules of a policy where only `makeable` can be made; ModelError when they cannot all be kept.

        What is `wanted` is forced like the policy's own, as far as it fits. Captions of `said` repeat the reply,
        so its length alone bounds them.
        """
        for modality in policy.force:
            if modality not in makeable:
                can = ", ".join(makeable) or "nothing"
                raise ModelError(f"the policy forces {modality}, which cannot be made here; there is {can}")
        limit = {row.modality: policy.limit(row.modality) if row.modality in makeable else 0 for row in table}
        force = {name: policy.force.count(name) for name in dict.fromkeys(policy.force)}
        count = sum(force.values())
        if count > policy.max_spans:
            raise ModelError(f"the policy forces {count} spans but allows {policy.max_spans}; raise max_spans")
        least = sum(number * (2 + table[name].k) for name, number in force.items())
        if least > policy.max_tokens:
            raise ModelError(f"forced spans take {least} tokens, max_tokens is {policy.max_tokens}; raise it")
        # Half of the reply is kept for forced spans, so that long words before them cannot starve them.
        half = policy.max_tokens // 2
        for name in dict.fromkeys(wanted):
            size = 2 + table[name].k
            fits = min(limit[name], wanted.count(name)) - force.get(name, 0)
            more = max(0, min(fits, policy.max_spans - count, (half - least) // size))
            if more:
                force[name] = force.get(name, 0) + more
                count, least = count + more, least + more * size
        room = 1 + max(0, half - least) // count if count else 1
        caption = {name: policy.max_tokens if name in said else policy.max_caption for name in table.modalities}
        return cls(force, limit, policy.max_spans, caption, policy.max_tokens, room)


@dataclass(frozen=True, slots=True)
class TextRun:
    """A run of words: its ids, and the position of the first of them."""

    ids: tuple[int, ...]
    start: int


@dataclass(frozen=True, slots=True)
class Span:
    """A request for media: the caption's ids, and the positions of its signal tokens so far, of `row.k`."""

    row: SignalIds
    caption: tuple[int, ...]
    start: int
    signals: tuple[int, ...] = ()

    @property
    def modality(self) -> str:
        return self.row.modality

    @property
    def complete(self) -> bool:
        """Whether all k signal tokens are there."""
        return len(self.signals) == self.row.k


Part = TextRun | Span


def parse(table: SignalTable, ids: Sequence[int]) -> tuple[Part, ...]:
    """The parts of a reply's ids, in order; the last span may be unfinished. ModelError for ids in no such order."""
    parts: list[Part] = []
    for at, number in enumerate(ids):
        last = parts[-1] if parts else None
        row = table.owner(number)
        if isinstance(last, Span) and not last.complete:
            parts[-1] = _grow(last, number, at, row)
        elif row is None:
            if isinstance(last, TextRun):
                parts[-1] = replace(last, ids=(*last.ids, number))
            else:
                parts.append(TextRun((number,), at))
        elif number == row.open:
            parts.append(Span(row, (), at))
        else:
            raise ModelError(f"signal id {number} of {row.modality} stands at position {at}, outside a span")
    return tuple(parts)


def _grow(span: Span, number: int, at: int, row: SignalIds | None) -> Span:
    if row is None and not span.signals:
        return replace(span, caption=(*span.caption, number))
    if span.caption and number == span.row.signals[len(span.signals)]:
        return replace(span, signals=(*span.signals, at))
    raise ModelError(f"id {number} at position {at} breaks a span of {span.modality} that opened at {span.start}")


@dataclass(frozen=True, slots=True)
class SpanState:
    """Where a reply stands: ids used, the span it is in the middle of, and how many spans it has of each modality."""

    used: int
    span: Span | None
    made: Mapping[str, int]

    @property
    def spans(self) -> int:
        """How many spans were opened."""
        return sum(self.made.values())


def state_of(table: SignalTable, ids: Sequence[int]) -> SpanState:
    """The state after `ids`."""
    spans = [part for part in parse(table, ids) if isinstance(part, Span)]
    made: dict[str, int] = {}
    for span in spans:
        made[span.modality] = made.get(span.modality, 0) + 1
    last = spans[-1] if spans and not spans[-1].complete else None
    return SpanState(len(ids), last, made)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Ids below the signals by what they may be used for. `text` may be said in a reply, `caption` (a subset,
    without line breaks) inside a caption, `words` (again a subset) begin one; `ends` end the reply."""

    size: int
    text: Tensor
    caption: Tensor
    words: Tensor
    ends: Tensor

    @classmethod
    def build(cls, size: int, n_ids: int, controls: Collection[int], ends: Collection[int],
              lines: Collection[int], words: Collection[int]) -> Vocabulary:  # fmt: skip
        """From sets of ids; rows between the tokenizer's ids and `size` are padding and never said."""
        text = torch.zeros(size, dtype=torch.bool)
        text[:n_ids] = True
        text[list(controls)] = False
        caption = text.clone()
        caption[list(lines)] = False
        word = torch.zeros(size, dtype=torch.bool)
        word[list(words)] = True
        end = torch.zeros(size, dtype=torch.bool)
        end[list(ends)] = True
        if not (word & caption).any() or not end.any():
            raise ModelError("the vocabulary has no word or no end token; check the tokenizer")
        return cls(size, text, caption, word & caption, end)


class SpanGrammar:
    """A logits processor that lets a reply be written in no other way than the state machine's."""

    def __init__(self, table: SignalTable, vocabulary: Vocabulary, rules: Rules) -> None:
        self.table, self.vocabulary, self.rules = table, vocabulary, rules

    def __call__(self, ids: Sequence[Sequence[int]], logits: Tensor) -> Tensor:
        """The logits `[B, V + n]` with −∞ at what may not follow the generated ids of each row."""
        allowed = torch.stack([self.allowed(row) for row in ids])  # [B, V + n]
        return logits.masked_fill(~allowed, -math.inf)

    def allowed(self, ids: Sequence[int]) -> Tensor:
        """Which ids may come next, bool `[V + n]`; always at least one."""
        state = state_of(self.table, ids)
        mask = torch.zeros(self.table.end, dtype=torch.bool)
        if state.span is None:
            self._in_text(state, mask)
        elif state.span.signals:
            mask[state.span.row.signals[len(state.span.signals)]] = True
        else:
            self._in_caption(state, state.span, mask)
        return mask

    def missing(self, state: SpanState) -> dict[str, int]:
        """The forced spans that are still to be opened."""
        rest = {name: count - state.made.get(name, 0) for name, count in self.rules.force.items()}
        return {name: count for name, count in rest.items() if count > 0}

    def _reserve(self, missing: Mapping[str, int]) -> int:
        rooms = {name: min(self.rules.room, self.rules.caption[name]) for name in missing}
        return sum(count * (1 + rooms[name] + self.table[name].k) for name, count in missing.items())

    def _in_text(self, state: SpanState, mask: Tensor) -> None:
        left, missing = self.rules.max_tokens - state.used, self.missing(state)
        for modality in self.openable(state):
            mask[self.table[modality].open] = True
        vocabulary = self.vocabulary
        if left > self._reserve(missing):
            mask[: vocabulary.size] = vocabulary.text
        if not missing:
            mask[: vocabulary.size] |= vocabulary.ends

    def openable(self, state: SpanState) -> list[str]:
        """The modalities of which a span may be opened: allowed, and it and all forced ones still fit."""
        found = []
        rules, missing = self.rules, self.missing(state)
        for row in self.table:
            others = dict(missing)
            if row.modality in others:
                others[row.modality] -= 1
            fits = 2 + row.k + self._reserve(others) <= rules.max_tokens - state.used
            slots = rules.max_spans - state.spans - 1 >= sum(others.values())
            if state.made.get(row.modality, 0) < rules.limit[row.modality] and fits and slots:
                found.append(row.modality)
        return found

    def caption_room(self, ids: Sequence[int]) -> int:
        """How many ids the caption that is being written may still take."""
        state = state_of(self.table, ids)
        return self._room(state, state.span) if state.span else 0

    def _room(self, state: SpanState, span: Span) -> int:
        left = self.rules.max_tokens - state.used - span.row.k - self._reserve(self.missing(state))
        return max(0, min(self.rules.caption[span.modality] - len(span.caption), left))

    def _in_caption(self, state: SpanState, span: Span, mask: Tensor) -> None:
        if not span.caption:
            mask[: self.vocabulary.size] = self.vocabulary.words
            return
        mask[span.row.signals[0]] = True
        if self._room(state, span) > 0:
            mask[: self.vocabulary.size] = self.vocabulary.caption
