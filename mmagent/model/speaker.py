"""A loaded multimodal LLM: from a conversation to what is said, token by token."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from mmagent.conversation import (
    Conversation,
    Policy,
    Said,
    Signal,
    SpanOpened,
    TextDelta,
)
from mmagent.media import Embedding, Media
from mmagent.model.asking import Asking
from mmagent.model.backbones import Backbone
from mmagent.model.borrowed import TEXT, Borrowed, Saying
from mmagent.model.decode import Prefix, Processor, Sampler, decode
from mmagent.model.prompt import Prompter, refs_of
from mmagent.model.repeats import RepeatPenalty
from mmagent.model.shots import Shots
from mmagent.model.signals import SignalRows, SignalTable
from mmagent.model.spans import Rules, Span, SpanGrammar, TextRun, Vocabulary, parse
from mmagent.model.spec import ModelSpec, OutputSpec
from mmagent.model.tokens import TextStream, Tokens
from mmagent.model.unheard import Unheard
from mmagent.tool import Context

MOST_BEGINNINGS = 8  # of some 100 tokens, a few MB each


class Speaker:
    """A backbone with signal rows beside it, and all that a reply needs. It holds no state of any reply."""

    def __init__(self, spec: ModelSpec, backbone: Backbone) -> None:
        self.spec, self.backbone = spec, backbone
        tokens = backbone.tokens
        self.table = SignalTable(backbone.n_vocab, {name: output.k for name, output in spec.outputs.items()})
        self.rows = SignalRows(backbone, self.table, _reads(spec, self.table, tokens))
        self.vocabulary = Vocabulary.build(
            backbone.n_vocab, tokens.n_ids, tokens.controls, tokens.ends, tokens.lines, tokens.words
        )
        self.asking = Asking(self.rows, spec)
        self._said = frozenset(name for name, output in spec.outputs.items() if output.caption == "said")
        self.prompter = Prompter(tokens, self.table, spec.system, spec.context, echoes=self._said)
        self._shots = Shots(spec, tokens, self.prompter)
        self._beginnings: dict[tuple[int, ...], Prefix] = {}
        self._lock = threading.Lock()
        self._closers = {name: self._closing(output) for name, output in spec.outputs.items()}
        self._openings = {name: tokens.content(output.opening)[0] for name, output in spec.outputs.items()}
        self._saying = Saying(tokens.lines, tokens.sentences, tokens.words, tokens.content(" ")[-1])

    def speak(
        self, conversation: Conversation, policy: Policy, modalities: Mapping[str, str], ctx: Context | None = None
    ) -> Iterator[Said]:
        """Say the reply; see `Reasoner.speak`."""
        if ctx is not None:
            ctx.check()
        makeable = [name for name in self.table.modalities if name in modalities and policy.limit(name) > 0]
        Rules.of(policy, self.table, makeable)  # what cannot be kept is said before anything is weighed
        parts = plan(self.asking.parts(conversation, makeable), policy.force)
        wanted = [part for part in parts if part != TEXT]
        grammar = SpanGrammar(self.table, self.vocabulary, Rules.of(policy, self.table, makeable, wanted, self._said))
        shots = self._shots.of(conversation, parts)
        prompt = self.prompter.ids(conversation, policy.max_tokens, shots)
        prefix = self._beginning(prompt, self.prompter.beginning(conversation, shots))
        rest = prompt[len(prefix.prompts[0]) :] if prefix else prompt
        borrowed = Borrowed(grammar, parts, self._closers, self._openings, self._said, self._saying)
        reply = Reply(self.spec.name, self.table, self.backbone.tokens, refs_of(conversation))
        ends, choose = self.backbone.tokens.ends, Sampler(policy.temperature, policy.seed)
        unheard = Unheard(self.table, self._shots.unheard(shots, conversation), self._said)
        processors: list[Processor] = [RepeatPenalty(self.table), unheard, borrowed, grammar]
        for step in decode(self.rows, [rest], processors, choose, ends, prefix):
            yield from reply.hear(step.hidden[0], step.ids[0] if step.ids[0] not in ends else None)
            if ctx is not None:
                ctx.check()

    def _beginning(self, prompt: Sequence[int], beginning: Sequence[int]) -> Prefix | None:
        """The prompt's beginning, read already where an earlier prompt began alike.

        Where it is cut depends on the conversation alone, so a reply does not depend on what was said before it.
        """
        ids = tuple(beginning)
        if not ids or len(prompt) <= len(ids) or tuple(prompt[: len(ids)]) != ids:
            return None
        with self._lock:
            found = self._beginnings.pop(ids, None) or Prefix(self.rows, [ids])
            self._beginnings[ids] = found  # the last one used stands last
            while len(self._beginnings) > MOST_BEGINNINGS:
                del self._beginnings[next(iter(self._beginnings))]
            return found

    def _closing(self, output: OutputSpec) -> Tensor:
        """The ids, bool `[V]`, that close a caption: the closing sign, a line break, the end of the reply."""
        tokens = self.backbone.tokens
        found = self.vocabulary.ends.clone()
        sign = output.closing.strip()[:1]
        found[list(tokens.lines | (tokens.matching(f"^{re.escape(sign)}") if sign else frozenset()))] = True
        return found


class Reply:
    """What has been said so far of one reply: ids and states in, pieces out."""

    def __init__(self, model: str, table: SignalTable, tokens: Tokens, refs: tuple[Media, ...]) -> None:
        self._space, self._table, self._tokens, self._refs = f"{model}.signals", table, tokens, refs
        self._ids: list[int] = []
        self._states: list[Tensor] = []
        self._text: TextStream | None = None
        self._place = 0
        self._in_words = False

    def hear(self, hidden: Tensor, number: int | None) -> Iterator[Said]:
        """The pieces that the next id makes, given the state of the one before; None is the end."""
        if self._ids:
            self._states.append(hidden)  # [D], the state of the last id; the first comes from the prompt
        last = parse(self._table, self._ids)[-1] if self._ids else None
        if isinstance(last, Span) and last.complete and last.signals[-1] == len(self._ids) - 1:
            yield self._signal(last)
        if number is None:
            return
        self._ids.append(number)
        part = parse(self._table, self._ids)[-1]
        if isinstance(part, TextRun):
            yield from self._words(number, first=part.start == len(self._ids) - 1)
        elif part.start == len(self._ids) - 1:
            self._place += self._in_words
            self._in_words, self._text = False, None
            yield SpanOpened(part.modality, self._place)

    def _words(self, number: int, first: bool) -> Iterator[Said]:
        if first or self._text is None:
            self._text = TextStream(self._tokens)
        new = self._text.push(number)
        if not self._in_words:
            new = new.lstrip()  # a run that is only white space is no part of the reply
        if new:
            self._in_words = True
            yield TextDelta(new)

    def _signal(self, span: Span) -> Signal:
        states = torch.stack([self._states[at] for at in span.signals])  # [k, D]
        caption = self._tokens.decode(span.caption).replace("\ufffd", "").strip()
        place, self._place = self._place, self._place + 1
        return Signal(span.modality, caption, Embedding(states.cpu().numpy(), self._space), self._refs, place=place)


def plan(weighed: Sequence[str], force: Sequence[str]) -> tuple[str, ...]:
    """The reply's parts: those weighed, then what is forced and not among them; forced speech needs words to say.

    >>> plan(("text",), ("speech",)), plan(("image",), ("image", "image"))
    (('text', 'speech'), ('image', 'image'))
    """
    parts = list(weighed)
    for name in dict.fromkeys(force):
        parts += [name] * max(0, force.count(name) - parts.count(name))
    if "speech" in parts and TEXT not in parts:
        parts.insert(0, TEXT)
    return tuple(parts)


def _reads(spec: ModelSpec, table: SignalTable, tokens: Tokens) -> dict[int, list[int]]:
    """What untrained signal ids are read as: an open token as its opening words, the first signal token as the closing."""
    reads = {}
    for name, output in spec.outputs.items():
        reads[table[name].open] = tokens.content(output.opening)
        reads[table[name].signals[0]] = tokens.content(output.closing)
    return reads
