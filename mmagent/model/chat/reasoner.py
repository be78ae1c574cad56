"""Any LangChain chat model as a Reasoner: cheap to make, and LangChain is imported when it is asked what it can.

It speaks over the text wire: it has no span states, asks for media by tool calls, and each becomes a Signal with a
caption. What happens inside a reply is `mmagent.model.chat.speaker`'s.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, cast

from mmagent.card import Card
from mmagent.conversation import Conversation, Policy, Said
from mmagent.media import MODALITIES, modality
from mmagent.model.chat.spec import ChatModelSpec, ChatSpec, PriceSpec
from mmagent.tool import Context

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from mmagent.model.chat.foreign import Foreign

_NOT_ASKED = ("text", "conversation", "embedding")


class ChatReasoner:
    """A chat model that speaks for an agent: `Agent(ChatReasoner(ChatOpenAI(model="gpt-4o-mini"), sees=["image"]))`.

    `model` is any LangChain chat model, or a ChatSpec of one that is made when it is first needed. `sees` are the
    modalities that it is given as they are (default: what its profile says), `makes` those that it may ask for
    (default: all there are, if it calls tools). `tools` are tools that it may name, by the modality that they make.
    `price` puts the cost into traces. `name` (default: the model's own) stands in traces and errors, `cost` is the
    expected seconds of a reply.
    """

    def __init__(
        self,
        model: BaseChatModel | ChatSpec,
        *,
        name: str = "",
        system: str = "",
        sees: Sequence[str] | None = None,
        makes: Sequence[str] | None = None,
        tools: Mapping[str, Sequence[str]] | None = None,
        price: PriceSpec | None = None,
        cost: float = 3.0,
    ) -> None:
        self._spec = model if isinstance(model, ChatSpec) else None
        self._model = None if isinstance(model, ChatSpec) else model
        self._name, self.system, self.price, self.cost, self.memory = name, system, price, cost, 0
        self._sees = None if sees is None else tuple(sees)
        self._makes = None if makes is None else tuple(makes)
        self._tools = {key: tuple(names) for key, names in (tools or {}).items()}
        self.projectors: tuple[Card, ...] = ()
        self.needs: tuple[str, ...] = ()
        self._foreign: Foreign | None = None
        self._lock = threading.Lock()

    @classmethod
    def of(cls, spec: ChatModelSpec) -> ChatReasoner:
        """The reasoner that a `model.yaml` describes."""
        return cls(
            spec.chat, name=spec.name, system=spec.system, sees=spec.sees, makes=spec.makes, tools=spec.tools,
            price=spec.price, cost=spec.cost,
        )  # fmt: skip

    def offered(self, foreign: Foreign) -> ChatReasoner:
        """The same reasoner for one turn, with tools that others brought."""
        self.load()
        found = copy.copy(self)
        found._foreign = foreign
        return found

    def __repr__(self) -> str:
        return f"ChatReasoner({self.name!r})"

    @property
    def name(self) -> str:
        if self._name or self._spec is not None:
            return self._name or str(self._spec and self._spec.model)
        found = getattr(self._model, "model_name", None) or getattr(self._model, "model", None)
        return found if isinstance(found, str) else type(self._model).__name__

    @property
    def sees(self) -> tuple[str, ...]:
        """What it takes in; UnknownName for a modality that is not registered."""
        if self._sees is not None:
            return _known(self._sees)
        from mmagent.model.chat.abilities import sees

        return sees(self.model)

    @property
    def makes(self) -> tuple[str, ...]:
        """What it can ask for; UnknownName for a modality that is not registered."""
        from mmagent.model.chat.abilities import calls_tools

        if not calls_tools(self.model):
            return ()
        if self._makes is not None:
            return _known(self._makes)
        return tuple(name for name in MODALITIES if name not in _NOT_ASKED)

    @property
    def model(self) -> BaseChatModel:
        """The chat model. MissingPackage and ModelError say why one of a spec cannot be made."""
        with self._lock:
            if self._model is None and self._spec is not None:
                from mmagent.model.chat.providers import build

                self._model = build(self._spec, self.name)
            return cast("BaseChatModel", self._model)  # one of the two was given

    def load(self) -> None:
        """Make the chat model, if that has not been done; no request is sent."""
        _ = self.model

    def unload(self) -> None:
        """Forget a chat model that was made of a spec."""
        with self._lock:
            self._model = self._model if self._spec is None else None

    def speak(
        self, conversation: Conversation, policy: Policy, modalities: Mapping[str, str], ctx: Context | None = None
    ) -> Iterator[Said]:
        """Say the reply; see `Reasoner.speak`, and Usage comes last.

        ProviderError when the provider does not answer or breaks off, AnswerError when the model's answer cannot be
        used, also after it was told. Replies do not mix, and nothing of one is kept.
        """
        from mmagent.model.chat.foreign import Foreign
        from mmagent.model.chat.speaker import Speaker

        foreign = self._foreign or Foreign()
        speaker = Speaker(self.name, self.model, self.system, self.sees, self._tools, self.price, foreign)
        return speaker.speak(conversation, policy, modalities, ctx)


def _known(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        modality(name)
    return names
