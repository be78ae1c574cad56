"""The keys that a chat model holds, so that no message repeats them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import SecretStr

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel


def secrets_of(model: BaseChatModel) -> tuple[str, ...]:
    """The keys that a chat model holds in its fields."""
    values = (getattr(model, name, None) for name in type(model).model_fields)
    return tuple(value.get_secret_value() for value in values if isinstance(value, SecretStr))
