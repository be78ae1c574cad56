"""A reasoner overheard: what it says, in order; cut off at stop sequences; and how much it was.

The events of a run do not tell where in a reply a request for media stands that nothing could serve; this does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from math import ceil

from langchain_core.messages.ai import UsageMetadata

from mmagent.conversation import Conversation, MediaSegment, Policy, Said, Signal, SpanSegment, TextDelta
from mmagent.model.reasoner import Reasoner
from mmagent.tool import Context

_CHARACTERS = 4.0
_PER_MESSAGE = 3
"""What LangChain's own `count_tokens_approximately` takes for a token, and for the frame of a message."""


class Tap:
    """A reasoner that passes on what another one says and notes it down in `heard`, for one turn.

    Words that a sequence of `stop` begins are left out, and the reasoner is not asked for more; `stopped` is the
    sequence that did it.
    """

    def __init__(self, reasoner: Reasoner, stop: Sequence[str] = ()) -> None:
        self._reasoner, self._stop = reasoner, tuple(filter(None, stop))
        self.name, self.sees, self.makes = reasoner.name, reasoner.sees, reasoner.makes
        self.projectors, self.needs = reasoner.projectors, reasoner.needs
        self.cost, self.memory = reasoner.cost, reasoner.memory
        self.heard: deque[str | Signal] = deque()
        self.stopped = ""
        self._read = self._written = 0

    def speak(
        self, conversation: Conversation, policy: Policy, modalities: Mapping[str, str], ctx: Context | None = None
    ) -> Iterator[Said]:
        """What the reasoner says, up to a stop sequence."""
        self._read += sum(map(tokens, _texts(conversation))) + _PER_MESSAGE * len(conversation)
        said = self._reasoner.speak(conversation, policy, modalities, ctx)
        words: list[str] = []
        for piece in self._cut(said) if self._stop else said:
            if isinstance(piece, TextDelta):
                self.heard.append(piece.text)
                words.append(piece.text)
            elif isinstance(piece, Signal):
                self.heard.append(piece)
                words.append(piece.caption)
            yield piece
        self._written += tokens("".join(words))

    def usage(self) -> UsageMetadata:
        """About how many tokens were read and written, at four characters a token."""
        return UsageMetadata(
            input_tokens=self._read, output_tokens=self._written, total_tokens=self._read + self._written
        )

    def _cut(self, said: Iterator[Said]) -> Iterator[Said]:
        """The pieces before the first stop sequence; what may yet become one is held back."""
        held = ""
        for piece in said:
            if not isinstance(piece, TextDelta):
                if held:
                    yield TextDelta(held)
                held = ""
                yield piece
                continue
            held += piece.text
            found = min((at, stop) for stop in self._stop if (at := held.find(stop)) >= 0) if self._has(held) else None
            if found is not None:
                self.stopped = found[1]
                if found[0]:
                    yield TextDelta(held[: found[0]])
                return
            free = len(held) - self._beginning(held)
            if free:
                yield TextDelta(held[:free])
                held = held[free:]
        if held:
            yield TextDelta(held)

    def _has(self, text: str) -> bool:
        return any(stop in text for stop in self._stop)

    def _beginning(self, text: str) -> int:
        """How many characters at the end of a text may be the beginning of a stop sequence.

        With the stop sequence `you`: "thank y" gives 1.
        """
        longest = max(map(len, self._stop)) - 1
        return next(
            (
                size
                for size in range(min(longest, len(text)), 0, -1)
                if any(s.startswith(text[-size:]) for s in self._stop)
            ),
            0,
        )


def tokens(text: str) -> int:
    """About how many tokens a text is."""
    return ceil(len(text) / _CHARACTERS)


def _texts(conversation: Conversation) -> Iterator[str]:
    for said in conversation:
        for segment in said.segments:
            if isinstance(segment, MediaSegment):
                yield segment.words or ""
            else:
                yield segment.caption if isinstance(segment, SpanSegment) else segment.text
