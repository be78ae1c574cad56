"""The contract of whatever speaks: a multimodal LLM, a chat model, a script.

A reasoner reads a conversation and says a reply piece by piece. It decides what should be made and never how:
it knows no tool, and who listens to it knows no token.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from mmagent.card import Card, Port, Scalar
from mmagent.conversation import Conversation, Policy, Said
from mmagent.tool import Context, ToolType


@runtime_checkable
class Reasoner(Protocol):
    """Anything that answers conversations; making one is cheap, and it reads its weights when it first speaks.

    `sees` are the modalities that it takes in as they are; the others reach it as words. `makes` are those
    that it can ask for. `projectors` turn its span states into the conditioning of generators; a reasoner
    without any is served by captions. `cost` is the expected seconds of a reply, `memory` its bytes when it is
    loaded, `needs` the extras and weights that it wants, as on a card.
    """

    @property
    def name(self) -> str: ...

    @property
    def sees(self) -> tuple[str, ...]: ...

    @property
    def makes(self) -> tuple[str, ...]: ...

    @property
    def projectors(self) -> Sequence[Card]: ...

    @property
    def cost(self) -> float: ...

    @property
    def memory(self) -> int: ...

    @property
    def needs(self) -> tuple[str, ...]: ...

    def speak(
        self, conversation: Conversation, policy: Policy, modalities: Mapping[str, str], ctx: Context | None = None
    ) -> Iterator[Said]:
        """Say the reply to a conversation whose media all have words or are seen.

        `modalities` maps each one that can be made now to a line that describes it; nothing else is asked for,
        and the policy is obeyed. Yields whole characters as TextDelta, SpanOpened when media is asked for, and
        its Signal when the span is complete; a place counts text runs and spans together. Looks at `ctx`
        before every token and raises Cancelled; publishing the tokens is the caller's business.
        """
        ...


@dataclass(frozen=True, slots=True)
class Encoder:
    """How a reasoner wants a modality encoded: a tool with settings, the port that its states have to fit, and the
    digest of the weights that they have to come from, if it matters."""

    tool: str
    port: Port
    settings: Mapping[str, Scalar] = field(default_factory=dict)
    weights: str = ""


@runtime_checkable
class Wired(Protocol):
    """A reasoner that is joined to tools by states: those that encode what it sees, by modality, and tools that it
    brings itself, which are its projectors and the generators that they were trained for."""

    @property
    def encoders(self) -> Mapping[str, Encoder]: ...

    @property
    def tools(self) -> Sequence[ToolType]: ...
