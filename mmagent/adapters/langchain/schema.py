"""A card as the arguments of a LangChain tool: words as strings, media as references, settings as plain values."""

from __future__ import annotations

import keyword
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from mmagent.card import ANY, Card, Port, Setting

_TAKEN = {*dir(BaseModel), "config", "callbacks", "run_manager"}
"""Names that pydantic and LangChain keep for themselves: `schema` becomes the argument `arg_schema`."""


@dataclass(frozen=True, slots=True)
class Arguments:
    """The arguments of a tool as a pydantic class; `names` maps its fields to ports and settings."""

    model: type[BaseModel]
    names: Mapping[str, str]


def arguments(card: Card, settings: Collection[str], title: str) -> Arguments:
    """The arguments for the inputs of a card and those of its settings. Unknown arguments are refused.

    A port `image: Image` becomes a string that refers to a picture, `texts: list[Text]` a list of strings, a setting
    `top: int = 5` an int with that default.
    """
    fields: dict[str, Any] = {}
    names: dict[str, str] = {}
    items: list[Port | Setting] = [*card.inputs, *(found for found in card.settings if found.name in settings)]
    for item in items:
        kind, default, doc = _of_port(item, card) if isinstance(item, Port) else _of_setting(item)
        name = _field(item.name)
        names[name] = item.name
        fields[name] = (kind, Field(default, description=doc))
    config = ConfigDict(extra="forbid", protected_namespaces=())
    model = create_model(title, __config__=config, __doc__=card.doc or title, **fields)
    return Arguments(model, names)


def _of_port(port: Port, card: Card) -> tuple[Any, Any, str]:
    kind: Any = list[str] if port.many else str
    doc = described(port)
    if port.name in card.either:
        others = ", ".join(name for name in card.either if name != port.name)
        doc += f" Give this or {others}."
    return (kind | None, None, doc) if port.optional else (kind, ..., doc)


def _of_setting(setting: Setting) -> tuple[Any, Any, str]:
    kinds: dict[str, Any] = {"str": str, "int": int, "float": float, "bool": bool}
    kind = Literal[setting.choices] if setting.choices else kinds[setting.type]
    kind = kind | None if setting.optional else kind
    return kind, ... if setting.required else setting.default, f"A setting: {setting.name}."


def described(port: Port) -> str:
    """What to write for a port.

    >>> described(Port("image", "image"))
    'Reference to image: a handle (media:…) or a data: URI.'
    """
    if port.modality == "text":
        return "Several texts." if port.many else "Text."
    what = "anything" if port.modality == ANY else port.modality
    reference = "a handle (media:…) or a data: URI" + (", or else words" if port.modality == ANY else "")
    return f"References to several {what}, each {reference}." if port.many else f"Reference to {what}: {reference}."


def _field(name: str) -> str:
    """The name that an argument has for an LLM, which is also a pydantic field's: `my-picture` gives `my_picture`."""
    plain = re.sub(r"\W", "_", name).lstrip("_") or "value"
    taken = plain in _TAKEN or keyword.iskeyword(plain) or plain[0].isdigit()
    return f"arg_{plain}" if taken else plain
