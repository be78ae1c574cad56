"""Models: whatever speaks. `load_model` finds one by name; reading its weights waits until it first speaks."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, cast

from mmagent.errors import ModelError
from mmagent.model.reasoner import Reasoner
from mmagent.model.scripted import ScriptedReasoner

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from mmagent.model.chat import ChatReasoner, ChatSpec
    from mmagent.model.mmlm import MMLM
    from mmagent.model.spec import ModelSpec

__all__ = [
    "MMLM",
    "ChatReasoner",
    "ChatSpec",
    "ModelSpec",
    "Reasoner",
    "ScriptedReasoner",
    "as_reasoner",
    "load_model",
    "models",
]

_LAZY = {
    "ChatReasoner": "mmagent.model.chat",
    "ChatSpec": "mmagent.model.chat",
    "MMLM": "mmagent.model.mmlm",
    "ModelSpec": "mmagent.model.spec",
}


def load_model(name: str) -> Reasoner:
    """The model of that name, or in that folder, a chat model's too; UnknownName lists the models there are.

    It reads no weights and asks no provider: that waits for `load()` or the first reply.
    """
    from mmagent.model.mmlm import MMLM
    from mmagent.model.spec import ModelSpec, read_any
    from mmagent.model.zoo import place

    folder = place(name)
    spec = read_any(folder)
    if isinstance(spec, ModelSpec):
        return MMLM(spec, folder=folder)
    from mmagent.model.chat import ChatReasoner

    return ChatReasoner.of(spec)


def as_reasoner(model: Reasoner | BaseChatModel) -> Reasoner:
    """A reasoner as it is, and a LangChain chat model as one; ModelError for anything else.

    Nothing is imported for it: where LangChain is not imported, nothing is a chat model.
    """
    # Not isinstance: that reads every property, and what a chat model sees is known only when it has been made.
    if callable(getattr(model, "speak", None)):
        return cast("Reasoner", model)
    known = sys.modules.get("langchain_core.language_models.chat_models")
    if known is None or not isinstance(model, known.BaseChatModel):
        raise ModelError(
            f"an agent's model is a model's name, a Reasoner or a LangChain chat model, not {type(model).__name__}"
        )
    from mmagent.model.chat import ChatReasoner

    return ChatReasoner(model)


def models() -> list[str]:
    """The names of the models that are shipped."""
    from mmagent.model.zoo import names

    return names()


def __getattr__(name: str) -> Any:
    """Import what is heavy (torch, pydantic) when it is first named."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)
