"""A reasoner overheard: what it says, in order; cut off at stop sequences; and how much it was.

The events of a run do not tell where in a reply a request for media stands that nothing could serve; this does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence

from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.messages.ai import UsageMetadata, add_usage
from langchain_core.messages.utils import count_tokens_approximately

from mmagent.adapters.langchain.stop import Stop
from mmagent.conversation import (
    Conversation,
    MediaSegment,
    Message,
    Policy,
    Said,
    Signal,
    SpanSegment,
    TextDelta,
    Usage,
)
from mmagent.model.reasoner import Reasoner, Wired
from mmagent.tool import Context


class Tap:
    """A reasoner that passes on what another one says and notes it down in `heard`, for one turn.

    From the first sequence of `stop` on its words are left out, and it is not asked for more. `estimated` says that
    it did not count all that it read and wrote.
    """

    def __init__(self, reasoner: Reasoner, stop: Sequence[str] = ()) -> None:
        self._reasoner, self._stop = reasoner, Stop(stop)
        self.name, self.sees, self.makes = reasoner.name, reasoner.sees, reasoner.makes
        self.projectors, self.needs = reasoner.projectors, reasoner.needs
        self.cost, self.memory = reasoner.cost, reasoner.memory
        wired = reasoner if isinstance(reasoner, Wired) else None
        self.encoders, self.tools = (wired.encoders, wired.tools) if wired else ({}, ())
        self.heard: deque[str | Signal] = deque()
        self.estimated = False
        self._usage = UsageMetadata(input_tokens=0, output_tokens=0, total_tokens=0)

    def speak(
        self, conversation: Conversation, policy: Policy, modalities: Mapping[str, str], ctx: Context | None = None
    ) -> Iterator[Said]:
        """What the reasoner says, up to a stop sequence."""
        words: list[str] = []
        counted: Usage | None = None
        for piece in self._stop.cut(self._reasoner.speak(conversation, policy, modalities, ctx)):
            if isinstance(piece, TextDelta):
                self.heard.append(piece.text)
                words.append(piece.text)
            elif isinstance(piece, Signal):
                self.heard.append(piece)
                words.append(piece.caption)
            elif isinstance(piece, Usage):
                counted = piece
            yield piece
        self._count(conversation, "".join(words), counted)

    @property
    def stopped(self) -> str:
        """The stop sequence that ended the reply, if one did."""
        return self._stop.found

    def usage(self) -> UsageMetadata:
        """How many tokens were read and written, by LangChain's estimate where the reasoner does not count."""
        return self._usage

    def _count(self, conversation: Conversation, words: str, counted: Usage | None) -> None:
        read = counted.input_tokens if counted else None
        written = counted.output_tokens if counted else None
        self.estimated = self.estimated or read is None or written is None
        if read is None:
            read = count_tokens_approximately(HumanMessage(_words(said)) for said in conversation)
        if written is None:
            written = count_tokens_approximately([AIMessage(words)])
        step = UsageMetadata(input_tokens=read, output_tokens=written, total_tokens=read + written)
        self._usage = add_usage(self._usage, step)


def _words(said: Message) -> str:
    """All that stands in a message as words."""
    return " ".join(
        (item.words or "")
        if isinstance(item, MediaSegment)
        else item.caption
        if isinstance(item, SpanSegment)
        else item.text
        for item in said.segments
    )
