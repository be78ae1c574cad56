"""A reasoner that says what it was given: for tests, examples, and agents whose replies are known beforehand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from mmagent.card import Card
from mmagent.conversation import Conversation, Policy, Said, Signal, SpanOpened, TextDelta
from mmagent.tool import Context


class ScriptedReasoner:
    """Says the same pieces to every conversation: strings become words, signals become spans.

        ScriptedReasoner(["Here is one. ", Signal("image", "a red cat")])

    A signal that the policy or the request does not allow is left out, as a model's would be. Given a list of
    such scripts in `turns`, it says one after the other and the last one from then on. `heard` keeps the
    conversations.
    """

    def __init__(
        self,
        pieces: Sequence[str | Signal] = (),
        *,
        turns: Sequence[Sequence[str | Signal]] = (),
        name: str = "scripted",
        sees: Sequence[str] = (),
        makes: Sequence[str] = ("image", "audio", "speech", "video"),
        projectors: Sequence[Card] = (),
    ) -> None:
        self._turns = tuple(tuple(turn) for turn in turns) or (tuple(pieces),)
        self.name, self.sees, self.makes, self.projectors = name, tuple(sees), tuple(makes), tuple(projectors)
        self.cost, self.memory = 0.0, 0
        self.needs: tuple[str, ...] = ()
        self.heard: list[Conversation] = []

    def speak(
        self, conversation: Conversation, policy: Policy, modalities: Mapping[str, str], ctx: Context | None = None
    ) -> Iterator[Said]:
        """Say the script; strings come in single words, as a model's tokens would."""
        script = self._turns[min(len(self.heard), len(self._turns) - 1)]
        self.heard.append(conversation)
        place, in_text, made = 0, False, dict.fromkeys(modalities, 0)
        for piece in script:
            if isinstance(piece, str):
                for word in _words(piece):
                    if ctx is not None:
                        ctx.check()
                    in_text = True
                    yield TextDelta(word)
                continue
            allowed = piece.modality in modalities and made[piece.modality] < policy.limit(piece.modality)
            if not allowed or sum(made.values()) >= policy.max_spans:
                continue
            place, in_text = place + in_text, False
            made[piece.modality] += 1
            yield SpanOpened(piece.modality, place)
            yield replace(piece, place=place)
            place += 1


def _words(text: str) -> list[str]:
    """The text cut before each word.

    >>> _words("a red cat")
    ['a', ' red', ' cat']
    """
    first, *rest = text.split(" ")
    return [piece for piece in (first, *(f" {word}" for word in rest)) if piece]
