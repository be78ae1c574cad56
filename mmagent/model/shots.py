"""Shots: the exchanges that go before a conversation to show a frozen model what kind of reply is wanted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from mmagent.conversation import Conversation, Message, Segment, SpanSegment, TextSegment
from mmagent.model.borrowed import TEXT
from mmagent.model.prompt import Prompter, described, put_into_words
from mmagent.model.spec import ModelSpec, SeenSpec, ShotSpec
from mmagent.model.tokens import Tokens

Exchange = tuple[Message, Message]


class Shots:
    """The shots of a model's spec: which of them a conversation gets, and what they alone are about."""

    def __init__(self, spec: ModelSpec, tokens: Tokens, prompter: Prompter) -> None:
        self._tokens, self._prompter = tokens, prompter
        self._said = {name for name, output in spec.outputs.items() if output.caption == "said"}
        self._asked = {name: [_asked(name, shot) for shot in output.shots] for name, output in spec.outputs.items()}
        self._seen = {name: [_seen(name, shot) for shot in into.shots] for name, into in spec.inputs.items()}
        found = [*self._asked.values(), *self._seen.values()]
        self._peculiar = peculiar([self._ids(exchange) for exchanges in found for exchange in exchanges])

    def of(self, conversation: Conversation, parts: Sequence[str]) -> list[Message]:
        """Exchanges that show how what the reply will hold is asked for, and how media in words are answered about.

        Those about media stand last, and alone where the only other ones would show how words are spoken: the
        nearer an exchange, the more a small model takes after it.
        """
        seen = [exchange for name in put_into_words(conversation) for exchange in self._seen.get(name, ())]
        out = dict.fromkeys(part for part in parts if part != TEXT)
        asked = [exchange for name in out if not (seen and name in self._said) for exchange in self._asked[name]]
        return [message for exchange in [*asked, *seen] for message in exchange]

    def unheard(self, shots: Sequence[Message], conversation: Conversation) -> list[int]:
        """The ids of what these shots are about where the conversation does not speak of it, in any form or part."""
        heard = self._tokens.decode(self._ids(conversation)).casefold()
        return [
            number
            for number in sorted(set(self._ids(shots)) & self._peculiar)
            if self._tokens.decode([number]).strip().casefold() not in heard
        ]

    def _ids(self, messages: Iterable[Message]) -> list[int]:
        pieces = (piece for message in messages for piece in self._prompter.content(message))
        return [piece for piece in pieces if isinstance(piece, int)]


def peculiar(examples: Sequence[Sequence[int]]) -> frozenset[int]:
    """The ids that one example alone holds: what it is about; the words that hold all of them together recur.

    >>> sorted(peculiar([[1, 2, 3], [1, 2, 4, 4]]))
    [3, 4]
    """
    counts = Counter(number for example in examples for number in set(example))
    return frozenset(number for number, count in counts.items() if count == 1)


def _asked(name: str, shot: ShotSpec) -> Exchange:
    words = [TextSegment(shot.words)] if shot.words else []
    return _exchange(shot.request, *words, SpanSegment(name, shot.caption))


def _seen(name: str, shot: SeenSpec) -> Exchange:
    return _exchange(f"{described(name, shot.shown)}\n{shot.request}", TextSegment(shot.words))


def _exchange(request: str, *reply: Segment) -> Exchange:
    return Message("user", (TextSegment(request),)), Message("assistant", reply)
