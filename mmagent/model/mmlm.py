"""The multimodal LLM as a Reasoner: cheap to make, its weights read when it is loaded or first speaks.

It speaks; it runs no tool, no generator and no router. What happens inside a reply is `mmagent.model.speaker`'s.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mmagent.card import Card
from mmagent.conversation import Conversation, Policy, Said
from mmagent.errors import MissingExtra
from mmagent.model import wires
from mmagent.model.reasoner import Encoder
from mmagent.model.saved import Told, load, tell, told
from mmagent.model.spec import ModelSpec
from mmagent.tool import Context, ToolType

if TYPE_CHECKING:
    from mmagent.model.backbones import Backbone
    from mmagent.model.parts import Parts
    from mmagent.model.speaker import Speaker


class MMLM:
    """A multimodal LLM by its spec; with `folder`, what was trained is read from there, and with `parts` it is given.
    A `backbone` that is loaded already may be given.

    Replies do not mix: each decodes over a cache of its own, and the same conversation, policy and modalities
    give the same reply, whatever else is being said at the time.
    """

    def __init__(
        self, spec: ModelSpec, backbone: Backbone | None = None, *, folder: Path | None = None,
        parts: Parts | None = None,
    ) -> None:  # fmt: skip
        self.spec, self.folder, self._backbone, self._given = spec, folder, backbone, parts
        self._speaker: Speaker | None = None
        self._lock = threading.Lock()

    @classmethod
    def of(cls, parts: Parts) -> MMLM:
        """The model that these parts are, as far as they have been trained."""
        return cls(parts.spec, parts.backbone, parts=parts)

    def __repr__(self) -> str:
        return f"MMLM({self.spec.name!r})"

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def told(self) -> Told:
        """Which parts have been trained, and against what."""
        return tell(self._given) if self._given is not None else self._of_folder

    @functools.cached_property
    def _of_folder(self) -> Told:
        return told(self.folder) if self.folder is not None else Told()

    @property
    def sees(self) -> tuple[str, ...]:
        """What it has learnt to see; the rest it is told in words."""
        return tuple(name for name in self.spec.inputs if self.told.has_learnt(f"inputs.{name}"))

    @property
    def makes(self) -> tuple[str, ...]:
        """What it has learnt to ask for, or what requests can be weighed for until then."""
        outputs, found = self.spec.outputs.items(), self.told
        return tuple(name for name, output in outputs if output.requests or found.has_learnt(f"signals.{name}"))

    @property
    def encoders(self) -> Mapping[str, Encoder]:
        """The encoders of what it sees, as it was trained with them."""
        found = self.told
        tools = {name: into.encoder for name, into in self.spec.inputs.items() if name in self.sees}
        return {
            name: Encoder(
                tool.tool, found.ports[f"inputs.{name}"], tool.settings, found.digests.get(f"inputs.{name}", "")
            )
            for name, tool in tools.items()
            if tool is not None
        }

    @property
    def projectors(self) -> tuple[Card, ...]:
        """A card for each output projector that has been trained, on rows that have."""
        return tuple(tool.card for tool in wires.projectors(self))

    @property
    def tools(self) -> tuple[ToolType, ...]:
        """The projectors as tools, and the generators that they were trained for, under their settings."""
        return (*wires.projectors(self), *wires.generators(self))

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

    def parts(self) -> Parts:
        """The loaded parts, the very ones that it speaks with."""
        return self._loaded().parts

    def _loaded(self) -> Speaker:
        with self._lock:
            if self._speaker is None:
                self._speaker = self._load()
            return self._speaker

    def _load(self) -> Speaker:
        try:
            from mmagent.model.backbones import load_backbone
            from mmagent.model.parts import Parts
            from mmagent.model.speaker import Speaker
        except ImportError as error:
            raise MissingExtra(error.name or "torch", "local", f"model {self.name}") from None
        if self._given is not None:
            return Speaker(self._given)
        if self.folder is not None:
            return Speaker(load(self.folder, self._backbone))
        backbone = self._backbone or load_backbone(self.spec.backbone)
        return Speaker(Parts.build(self.spec, backbone, features={}, conditions={}))
