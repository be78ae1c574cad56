"""Where untrained signal tokens take their probabilities from: what the frozen model already knows how to say.

Rows that nobody trained would ask for media at random. Until they are trained, a reply follows the parts that
were weighed beforehand (`mmagent.model.asking`), and the model says where one part ends and the next begins:
an open token takes the probability of ending the reply, the first signal token that of closing the bracket or
the line.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from mmagent.model.spans import Span, SpanGrammar, TextRun, parse

if TYPE_CHECKING:
    from torch import Tensor

TEXT = "text"


@dataclass(frozen=True, slots=True)
class Saying:
    """What it takes to let captions repeat the reply's own words: ids that break a line, end a sentence, or begin a
    caption, and the id of a space, which stands for a line break that is repeated (none where a tokenizer has none)."""

    lines: frozenset[int]
    sentences: frozenset[int]
    words: frozenset[int]
    space: int | None


@dataclass(frozen=True, slots=True)
class Borrowed:
    """A logits processor for untrained rows, to be run before the grammar; like that, a pure function of the ids.

    Modalities of `trained` are decided by the model's own logits, in between whatever the parts are.

    `parts` are the reply's parts in order: modalities, and `text` for words. The captions of modalities in
    `said` repeat whole sentences of the reply's words from the first on; how many, the model's probabilities decide. `closers`
    are, for each modality, the ids (bool `[V]`) with which the model closes a caption; `openings` the first
    id of the words that its open token is read as.
    """

    grammar: SpanGrammar
    parts: tuple[str, ...]
    closers: Mapping[str, Tensor]
    openings: Mapping[str, int]
    said: frozenset[str]
    saying: Saying
    trained: frozenset[str] = frozenset()

    def __call__(self, ids: Sequence[Sequence[int]], logits: Tensor) -> Tensor:
        return torch.stack([self._row(row, values) for row, values in zip(ids, logits)])

    def _row(self, ids: Sequence[int], logits: Tensor) -> Tensor:
        parts = parse(self.grammar.table, ids)
        last = parts[-1] if parts else None
        base = self.grammar.table.base
        row = torch.full_like(logits, -math.inf)
        if not isinstance(last, Span) or last.complete:
            self._between(ids, parts, logits[:base], row)
            opens = [self.grammar.table[name].open for name in self.trained]
            row[opens] = logits[opens]
        elif last.modality in self.trained:
            return logits
        elif last.signals:
            row[last.row.signals[len(last.signals)]] = 0.0
        else:
            closers = self.closers[last.modality]
            row[:base] = logits[:base].masked_fill(closers, -math.inf)
            row[last.row.signals[0]] = logits[:base][closers].logsumexp(0)
            if last.modality in self.said:
                said = [number for part in parts if isinstance(part, TextRun) for number in part.ids]
                self._repeat(said, last.caption, last.row.signals[0], self.grammar.caption_room(ids), row)
        return row

    def _between(self, ids: Sequence[int], parts: Sequence[Span | TextRun], frozen: Tensor, row: Tensor) -> None:
        """In text: what the plan has next, as far as the grammar lets it."""
        allowed, vocabulary = self.grammar.allowed(ids), self.grammar.vocabulary
        n_done = self._done(parts)
        in_words = bool(parts) and isinstance(parts[-1], TextRun)
        rest = [name for name in self.parts[n_done:] if name != TEXT]
        due = next((name for name in rest if allowed[self.grammar.table[name].open]), None)
        wanted = n_done < len(self.parts) and self.parts[n_done] == TEXT
        can_talk = wanted and bool((allowed[: vocabulary.size] & vocabulary.text).any())
        if can_talk:
            row[: vocabulary.size] = frozen.masked_fill(vocabulary.ends, -math.inf)
        if can_talk and not in_words:
            return
        if due is None:
            row[: vocabulary.size] = torch.where(vocabulary.ends, frozen, row[: vocabulary.size])
            return
        # Ending here, or beginning to spell the opening words out, is what opens the span.
        opening = vocabulary.ends.clone()
        opening[self.openings[due]] = True
        row[: vocabulary.size][opening] = -math.inf
        row[self.grammar.table[due].open] = frozen[opening].logsumexp(0)

    def _done(self, parts: Sequence[Span | TextRun]) -> int:
        """How many of the planned parts are behind, a run of words that is still being written not counted."""
        done = 0
        for part in parts:
            if isinstance(part, Span):
                while done < len(self.parts) and self.parts[done] != part.modality:
                    done += 1
                done += 1
        return done

    def _repeat(self, said: Sequence[int], caption: Sequence[int], close: int, room: int, row: Tensor) -> None:
        """Leave only what goes on repeating sentences of `said`; nothing is said over again where nothing was said."""
        line = self._line(said)
        start = self._start(line)
        if start is None:
            return
        at, following = start + len(caption), set()
        ended = at == len(line) or bool(caption and line[at - 1] in self.saying.sentences)
        if ended or room == 0:
            following.add(close)
        if at < len(line) and not (ended and self._sentence(line, at) > room):
            following.add(line[at])
        kept = torch.full_like(row, -math.inf)
        chosen = list(following)
        kept[chosen] = row[chosen].clamp(min=-1e4)  # a closer inside the words is said all the same
        row.copy_(kept)

    def _line(self, said: Sequence[int]) -> list[int]:
        """The words on one line, line breaks as spaces."""
        line: list[int] = []
        for number in said:
            broken = number in self.saying.lines
            if not broken:
                line.append(number)
            elif self.saying.space is not None and line and line[-1] != self.saying.space:
                line.append(self.saying.space)
        while line and line[-1] == self.saying.space:
            line.pop()
        return line

    def _start(self, line: Sequence[int]) -> int | None:
        """Where the first word is."""
        return next((at for at, number in enumerate(line) if number in self.saying.words), None)

    def _sentence(self, line: Sequence[int], at: int) -> int:
        """How many ids the sentence has that begins at `at`."""
        return next(
            (end - at + 1 for end in range(at, len(line)) if line[end] in self.saying.sentences), len(line) - at
        )
