"""Other people's messages made fit to repeat: on one line, short, without keys and without encoded media."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic import SecretStr

from mmagent.trace.words import line, visible

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

LONGEST = 300
_KEYS = re.compile(r"\b(?:sk|pk|gsk|xai)-[\w*.-]{4,}|\bAIza[\w-]{8,}|(?i:bearer)\s+[^\s'\",]+")
_MEDIA = re.compile(r"data:[\w.+-]+/[\w.+-]+;base64,[\w+/=-]*|[A-Za-z0-9+/_-]{60,}={0,2}")


def harmless(text: str, secrets: Iterable[str] = (), longest: int = LONGEST) -> str:
    """The text without `secrets`, without what looks like a key or like base64, cut to `longest` characters.

    >>> harmless("Incorrect API key provided: sk-abcd****wxyz.")
    'Incorrect API key provided: […]'
    """
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "[…]")
    return line(visible(_MEDIA.sub("[…]", _KEYS.sub("[…]", text))), longest)


def secrets_of(model: BaseChatModel) -> tuple[str, ...]:
    """The keys that a chat model holds in its fields."""
    values = (getattr(model, name, None) for name in type(model).model_fields)
    return tuple(value.get_secret_value() for value in values if isinstance(value, SecretStr))
