"""A loaded multimodal LLM: from a conversation to what is said, token by token."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from mmagent.checkpoint.threads import modest
from mmagent.conversation import (
    Conversation,
    MediaSegment,
    Policy,
    Said,
    Signal,
    SpanOpened,
    TextDelta,
)
from mmagent.errors import ModelError
from mmagent.media import Embedding, Media
from mmagent.model.asking import Asking
from mmagent.model.beside import Beside
from mmagent.model.borrowed import TEXT, Borrowed, Saying
from mmagent.model.decode import Prefix, Processor, Sampler, decode
from mmagent.model.parts import Parts, reads
from mmagent.model.pieces import Piece
from mmagent.model.prompt import Prompter, refs_of
from mmagent.model.repeats import RepeatPenalty
from mmagent.model.shots import Shots
from mmagent.model.signals import SignalTable
from mmagent.model.spans import Rules, Span, SpanGrammar, TextRun, Vocabulary, parse
from mmagent.model.spec import OutputSpec
from mmagent.model.tokens import TextStream, Tokens
from mmagent.model.unheard import Unheard
from mmagent.tool import Context

MOST_BEGINNINGS = 8  # of some 100 tokens, a few MB each


class Speaker:
    """A model's parts, and all that a reply needs beside them. It holds no state of any reply.

    What the model has learnt to ask for it asks for by its own logits. The rest is weighed beforehand
    (`mmagent.model.asking`) and borrows its probabilities (`mmagent.model.borrowed`).
    """

    def __init__(self, parts: Parts) -> None:
        self.parts, self.spec, self.backbone = parts.eval(), parts.spec, parts.backbone
        spec, tokens, self.table = parts.spec, parts.backbone.tokens, parts.rows.table
        self.learnt = frozenset(parts.asks)
        self.rows = parts.rows.spelt(reads(spec, self.table, tokens, self.learnt))
        self.vocabulary = Vocabulary.build(
            parts.backbone.n_vocab, tokens.n_ids, tokens.controls, tokens.ends, tokens.lines, tokens.words
        )
        self._said = frozenset(name for name, output in spec.outputs.items() if output.caption == "said")
        echoes = self._said - self.learnt
        self.prompter = Prompter(tokens, self.table, spec.system, parts.context, echoes, self._length)
        self._beginnings: dict[tuple[Piece, ...], Prefix] = {}
        self._lock = threading.Lock()
        borrowed = {
            name: output
            for name, output in spec.outputs.items()
            if output.requests is not None and name not in self.learnt
        }
        self._makeable = tuple(name for name in self.table.modalities if name in self.learnt or name in borrowed)
        self._borrows = bool(borrowed) or not self.learnt
        self.asking = Asking(self.rows, spec if self._borrows else spec.model_copy(update={"outputs": {}}))
        self._shots = Shots(spec, tokens, self.prompter)
        self._closers = {name: self._closing(output) for name, output in borrowed.items()}
        self._openings = {name: tokens.content(output.opening)[0] for name, output in borrowed.items()}
        space = next(iter(tokens.content(" ")[-1:]), None)
        self._saying = Saying(tokens.lines, tokens.sentences, tokens.words, space)

    def speak(
        self, conversation: Conversation, policy: Policy, modalities: Mapping[str, str], ctx: Context | None = None
    ) -> Iterator[Said]:
        """Say the reply; see `Reasoner.speak`."""
        if ctx is not None:
            ctx.check()
        self._check_seen(conversation)
        makeable = [name for name in self._makeable if name in modalities and policy.limit(name) > 0]
        Rules.of(policy, self.table, makeable)  # what cannot be kept is said before anything is weighed
        parts: tuple[str, ...] = ()
        if self._borrows:
            rest = [name for name in makeable if name not in self.learnt]
            parts = plan(self.asking.parts(conversation, rest), [name for name in policy.force if name in rest])
        wanted = [part for part in parts if part != TEXT]
        grammar = SpanGrammar(self.table, self.vocabulary, Rules.of(policy, self.table, makeable, wanted, self._said))
        shots = self._shots.of(conversation, parts) if parts else []
        prompt = self.prompter.pieces(conversation, policy.max_tokens, shots)
        beginning = self.prompter.beginning(conversation, shots)
        prefix = self._beginning(prompt, beginning)
        unread = [prompt[len(beginning) :] if prefix else prompt]
        fed, beside = self._embedded(unread)
        reply = Reply(self.spec.name, self.table, self.backbone.tokens, refs_of(conversation))
        ends, choose = self.backbone.tokens.ends, Sampler(policy.temperature, policy.seed)
        processors: list[Processor] = [RepeatPenalty(self.table)]
        if parts:
            unheard = self._shots.unheard(shots, conversation)
            processors += [Unheard(self.table, unheard, self._said | self.learnt), self._borrowed(grammar, parts)]
        for step in decode(self.rows, fed, [*processors, grammar], choose, ends, prefix, beside):
            yield from reply.hear(step.hidden[0], step.ids[0] if step.ids[0] not in ends else None)
            if ctx is not None:
                ctx.check()

    def _borrowed(self, grammar: SpanGrammar, parts: tuple[str, ...]) -> Borrowed:
        return Borrowed(grammar, parts, self._closers, self._openings, self._said, self._saying, self.learnt)

    def _length(self, piece: Piece) -> int:
        return self.rows.n_positions([piece]) if isinstance(piece, int) else self.parts.n_positions(piece)

    def _check_seen(self, conversation: Conversation) -> None:
        """ModelError for a medium in the states of another encoder than the one that the model reads."""
        for item in (item for said in conversation for item in said.segments):
            if isinstance(item, MediaSegment) and item.seen is not None:
                modality = item.media.modality
                port = self.parts.features.get(modality) if self.parts.has_learnt(f"inputs.{modality}") else None
                space = port.constraints.get("space") if port else None
                if space != item.seen.space:
                    raise ModelError(
                        f"{self.spec.name} reads {f'{modality} in the space {space}' if port else f'no {modality}'}, "
                        f"and this one is in {item.seen.space}; encode it with the model's own encoder"
                    )

    def _beginning(self, prompt: Sequence[Piece], beginning: Sequence[Piece]) -> Prefix | None:
        """The prompt's beginning, read already where an earlier prompt began alike.

        Where it is cut depends on the conversation alone, so a reply does not depend on what was said before it.
        """
        begun = tuple(beginning)
        if not begun or len(prompt) <= len(begun) or tuple(prompt[: len(begun)]) != begun:
            return None
        with self._lock:
            found = self._beginnings.pop(begun, None) or Prefix(self.rows, *self._embedded([begun]))
            self._beginnings[begun] = found  # the last one used stands last
            while len(self._beginnings) > MOST_BEGINNINGS:
                del self._beginnings[next(iter(self._beginnings))]
            return found

    def _embedded(self, prompts: Sequence[Sequence[Piece]]) -> tuple[list[Tensor], Beside | None]:
        with modest(), torch.no_grad():
            return self.parts.embed(prompts, self.rows), self.parts.beside(prompts, self.rows)

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
