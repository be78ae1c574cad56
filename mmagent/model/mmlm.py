"""The multimodal LLM as a Reasoner: cheap to make, its weights read when it is loaded or first speaks.

It speaks; it knows no tool, no generator and no router. What happens inside a reply is `mmagent.model.speaker`'s.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mmagent.card import Card
from mmagent.conversation import Conversation, Policy, Said
from mmagent.model.spec import ModelSpec
from mmagent.tool import Context

if TYPE_CHECKING:
    from mmagent.model.backbones import Backbone
    from mmagent.model.speaker import Speaker


class MMLM:
    """A multimodal LLM by its spec; a `backbone` that is loaded already may be given.

    Replies do not mix: each decodes over a cache of its own, and the same conversation, policy and modalities
    give the same reply, whatever else is being said at the time.
    """

    def __init__(self, spec: ModelSpec, backbone: Backbone | None = None) -> None:
        self.spec, self._backbone = spec, backbone
        self._speaker: Speaker | None = None
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"MMLM({self.spec.name!r})"

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def sees(self) -> tuple[str, ...]:
        return ()

    @property
    def makes(self) -> tuple[str, ...]:
        return tuple(self.spec.outputs)

    @property
    def projectors(self) -> tuple[Card, ...]:
        return ()

    @property
    def cost(self) -> float:
        return self.spec.cost

    @property
    def memory(self) -> int:
        return self.spec.memory

    @property
    def needs(self) -> tuple[str, ...]:
        weights = self.spec.backbone.weights
        return ("extra:local", *([f"weights:{weights}"] if weights else []))

    def load(self) -> None:
        """Read the weights, if that has not been done; MissingExtra, FetchError or ModelError say what is missing."""
        self._loaded()

    def unload(self) -> None:
        """Forget the weights; the next reply reads them again."""
        with self._lock:
            self._speaker = None

    def speak(
        self, conversation: Conversation, policy: Policy, modalities: Mapping[str, str], ctx: Context | None = None
    ) -> Iterator[Said]:
        """Say the reply; see `Reasoner.speak`. ModelError when the policy cannot be kept."""
        return self._loaded().speak(conversation, policy, modalities, ctx)

    def _loaded(self) -> Speaker:
        with self._lock:
            if self._speaker is None:
                self._speaker = self._load()
            return self._speaker

    def _load(self) -> Speaker:
        from mmagent.errors import MissingExtra

        try:
            from mmagent.model.backbones.causal import CausalBackbone
            from mmagent.model.speaker import Speaker
        except ImportError as error:
            raise MissingExtra(error.name or "torch", "local", f"model {self.name}") from None
        return Speaker(self.spec, self._backbone or CausalBackbone.load(self._source()))

    def _source(self) -> str | Path:
        from mmagent.fetch import fetch

        found = self.spec.backbone
        return fetch(found.weights) if found.weights else str(found.path)
