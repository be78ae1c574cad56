"""Whether a request asks for media, decided by the frozen model's own probabilities before anything is trained.

By Bayes' rule the kind of a request is weighed by how probable the model finds the request itself among examples
of each kind (the channel model of Min et al. 2022, "Noisy Channel Language Model Prompting"): a small model is far
surer of p(request | kind) than of p(kind | request), and there is no label whose own frequency needs calibrating.
No rule looks at the words.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from mmagent.conversation import Conversation, MediaSegment, Message, TextSegment
from mmagent.model.borrowed import TEXT
from mmagent.model.decode import Prefix
from mmagent.model.signals import SignalRows
from mmagent.model.spec import ModelSpec, RequestSpec

MOST_SENTENCES = 8
MOST_TOKENS = 64


@dataclass(frozen=True, slots=True)
class Weighed:
    """One sentence of a request and the log-likelihood of it among the requests of each kind, in nats."""

    sentence: str
    scores: Mapping[str, float]

    @property
    def kind(self) -> str:
        """The most probable kind; `text` where words will do."""
        return max(self.scores, key=lambda name: self.scores[name])


class Asking:
    """Weighs what a conversation's last request asks for. The examples are read once for each kind, when first needed."""

    def __init__(self, rows: SignalRows, spec: ModelSpec) -> None:
        self._rows, self._prior = rows, spec.prior
        self._kinds = {name: output.requests for name, output in spec.outputs.items()}
        if spec.plain is not None:
            self._kinds[TEXT] = spec.plain
        self._prefixes: dict[str, Prefix] = {}
        self._lock = threading.Lock()

    def parts(self, conversation: Conversation, makeable: Collection[str]) -> tuple[str, ...]:
        """The parts that the reply should have, in order: words first where words are asked for or are to be spoken."""
        kinds = [weighed.kind for weighed in self.weigh(request_of(conversation), makeable)]
        media = [kind for kind in dict.fromkeys(kinds) if kind != TEXT]
        words = TEXT in kinds or "speech" in media or not media
        return ((TEXT,) if words else ()) + tuple(media)

    def weigh(self, request: str, makeable: Collection[str]) -> list[Weighed]:
        """Each sentence of a request, weighed among the kinds that can be made and plain words."""
        kinds = [name for name in self._kinds if name in makeable or name == TEXT]
        found = sentences(request)
        if len(found) > MOST_SENTENCES:  # what is wanted is said at one end of a long text
            found = found[: MOST_SENTENCES // 2] + found[-MOST_SENTENCES // 2 :]
        return [Weighed(sentence, self._scores(sentence, kinds)) for sentence in found] if len(kinds) > 1 else []

    def _scores(self, sentence: str, kinds: Sequence[str]) -> dict[str, float]:
        tokens = self._rows.backbone.tokens
        ids = tokens.content(f" {sentence}")[:MOST_TOKENS] + tokens.content("\n")
        scores = {name: self._prefix(name).log_likelihood(ids) for name in kinds}
        scores[TEXT] += self._prior
        return scores

    def _prefix(self, kind: str) -> Prefix:
        with self._lock:
            if kind not in self._prefixes:
                ids = self._rows.backbone.tokens.content(_listing(self._kinds[kind]))
                self._prefixes[kind] = Prefix(self._rows, ids)
            return self._prefixes[kind]


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
    return [piece.strip() for piece in re.split(r"(?<=[.!?。！？])\s+|\n+", text) if piece.strip()]
