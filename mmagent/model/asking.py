"""Whether a request asks for media, decided by the frozen model's own probabilities before anything is trained.

By Bayes' rule the kind of a request is weighed by how probable the model finds the request itself among examples
of each kind (the channel model of Min et al. 2022, "Noisy Channel Language Model Prompting"): a small model is far
surer of p(request | kind) than of p(kind | request), and there is no label whose own frequency needs calibrating.
No rule looks at the words.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from mmagent.conversation import Conversation, MediaSegment, Message, TextSegment
from mmagent.model.borrowed import TEXT
from mmagent.model.decode import Prefix
from mmagent.model.signals import SignalRows
from mmagent.model.spec import ModelSpec, RequestSpec

MOST_PIECES = 8
MOST_TOKENS = 64


@dataclass(frozen=True, slots=True)
class Weighed:
    """A sentence of a request, or a clause, and the log-likelihood of it among the requests of each kind, in nats."""

    words: str
    scores: Mapping[str, float]
    clauses: tuple[Weighed, ...] = ()

    @property
    def kind(self) -> str:
        """The most probable kind; `text` where words will do."""
        return max(self.scores, key=lambda name: self.scores[name])

    def kinds(self, margin: float) -> list[str]:
        """The kind of the whole and those of its clauses, in order. A clause alone says less than a sentence, so it
        asks for media only where that is more probable than words by `margin`."""
        found = [item.kind for item in self.clauses if item.scores[item.kind] - item.scores[TEXT] > margin]
        return found if self.kind in found else [self.kind, *found]


class Asking:
    """Weighs what a conversation's last request asks for. The examples of each kind are read once, when it is made."""

    def __init__(self, rows: SignalRows, spec: ModelSpec) -> None:
        self._rows, self._prior, self._margin = rows, spec.prior, spec.margin
        kinds = {name: output.requests for name, output in spec.outputs.items() if output.requests}
        if spec.plain is not None:
            kinds[TEXT] = spec.plain
        self._kinds = tuple(kinds)
        content = rows.backbone.tokens.content
        self._listings = Prefix(rows, [content(_listing(kind)) for kind in kinds.values()]) if len(kinds) > 1 else None

    def parts(self, conversation: Conversation, makeable: Collection[str]) -> tuple[str, ...]:
        """The parts that the reply should have, in order: words first where words are asked for or are to be spoken.

        What cannot be made is weighed all the same, since the next best kind is not what was asked for; words answer it.
        """
        found = self.weigh(request_of(conversation)) if makeable else []
        kinds = list(dict.fromkeys(kind for item in found for kind in item.kinds(self._margin)))
        media = [kind for kind in kinds if kind in makeable]
        words = "speech" in media or not media or media != kinds
        return ((TEXT,) if words else ()) + tuple(media)

    def weigh(self, request: str) -> list[Weighed]:
        """Each sentence of a request, and in short requests each clause, weighed among all kinds of media and plain words."""
        if self._listings is None:
            return []
        cut = [(sentence, clauses(sentence)) for sentence in sentences(request)]
        if sum(len(parts) for _, parts in cut) > MOST_PIECES:
            # What is wanted is said at one end of a long text.
            cut = [
                (sentence, [])
                for sentence, _ in [*cut[: MOST_PIECES // 2], *cut[MOST_PIECES // 2 :][-MOST_PIECES // 2 :]]
            ]
        return [
            Weighed(
                sentence,
                self._scores(sentence),
                tuple(Weighed(part, self._scores(part)) for part in parts if len(parts) > 1),
            )
            for sentence, parts in cut
        ]

    def _scores(self, words: str) -> dict[str, float]:
        content = self._rows.backbone.tokens.content
        ids = content(f" {words}")[:MOST_TOKENS] + content("\n")
        scores = dict(zip(self._kinds, self._listings.log_likelihoods(ids))) if self._listings else {}
        scores[TEXT] += self._prior
        return scores


def _listing(kind: RequestSpec) -> str:
    """The beginning of a list of such requests, up to where the next one would stand."""
    return "\n- ".join([f"{kind.called}:", *kind.examples]) + "\n-"


def request_of(conversation: Conversation) -> str:
    """What the user asked for last, typed or spoken; what pictures show is not part of it."""
    last = next((item for item in reversed(conversation.messages) if item.role == "user"), Message("user", ()))
    words = [
        item.text if isinstance(item, TextSegment) else item.words
        for item in last.segments
        if isinstance(item, TextSegment) or (isinstance(item, MediaSegment) and item.media.modality == "speech")
    ]
    return "\n".join(word for word in words if word)


def sentences(text: str) -> list[str]:
    """A text cut after full stops, question and exclamation marks and at line breaks.

    >>> sentences("What is this? Say it aloud.")
    ['What is this?', 'Say it aloud.']
    """
    return [piece.strip() for piece in re.split(r"(?<=[.!?])\s+|(?<=[。！？])|\n+", text) if piece.strip()]


def clauses(sentence: str) -> list[str]:
    """A sentence cut after commas and semicolons.

    >>> clauses("Say it aloud, then draw two.")
    ['Say it aloud,', 'then draw two.']
    """
    return [piece.strip() for piece in re.split(r"(?<=[,;])\s+|(?<=[，；、])", sentence) if piece.strip()]
