"""Models: whatever speaks. `load_model` finds one by name; reading its weights waits until it first speaks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmagent.model.reasoner import Reasoner
from mmagent.model.scripted import ScriptedReasoner

if TYPE_CHECKING:
    from mmagent.model.mmlm import MMLM
    from mmagent.model.spec import ModelSpec

__all__ = ["MMLM", "ModelSpec", "Reasoner", "ScriptedReasoner", "load_model", "models"]

_LAZY = {"MMLM": "mmagent.model.mmlm", "ModelSpec": "mmagent.model.spec"}


def load_model(name: str) -> Reasoner:
    """The model of that name, or in that folder; UnknownName lists the models there are.

    It reads no weights: that waits for `load()` or the first reply.
    """
    from mmagent.model.mmlm import MMLM
    from mmagent.model.zoo import find

    return MMLM(find(name))


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
