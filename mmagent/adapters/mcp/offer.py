"""A card as a tool of the protocol: settings as plain parameters, texts as strings, media as addresses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mmagent.adapters.mcp.labels import OUTPUTS, PORT, SCHEME
from mmagent.adapters.mcp.labels import SEED as SEED_LABEL
from mmagent.card import ANY, Card, Port, Setting
from mmagent.errors import CardError
from mmagent.graph.ports import show_port

if TYPE_CHECKING:
    from mcp import types

SEED = "seed"
_TYPES = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}


@dataclass(frozen=True, slots=True)
class Offer:
    """A tool or graph as it is offered: under its name without version, with these `settings` open to callers.

    `seeded`: callers may give a seed, which it draws everything random from.
    """

    card: Card
    settings: tuple[Setting, ...]
    seeded: bool

    @property
    def name(self) -> str:
        """What callers call it."""
        return self.card.short


def offer(card: Card, *, load_settings: bool, seeded: bool) -> Offer:
    """How a card is offered.

    What its constructor takes (a checkpoint, a device) is its owner's to choose, unless `load_settings`; CardError if
    such a setting has no default then.
    """
    open_ = tuple(item for item in card.settings if load_settings or item.at == "run")
    closed = [item.name for item in card.settings if item.required and item not in open_]
    if closed:
        raise CardError(
            f"{card.name} cannot be served: its constructor's setting {closed[0]} has no default; "
            "give it one by a preset, or let callers choose with --load-settings"
        )
    taken = [*(port.name for port in card.inputs), *(setting.name for setting in open_)]
    return Offer(card, open_, seeded and SEED not in taken)


def as_tool(offer: Offer, paths: bool) -> types.Tool:
    """The tool of the protocol; `paths`: files of the server's own root may be named."""
    from mcp import types

    card = offer.card
    properties: dict[str, Any] = {port.name: _port(port, paths) for port in card.inputs}
    properties |= {setting.name: _setting(setting) for setting in offer.settings}
    if offer.seeded:
        about = "The same seed and arguments give the same result."
        properties[SEED] = {"type": "integer", "default": 0, "description": about, SEED_LABEL: True}
    required = [port.name for port in card.inputs if not port.optional]
    required += [setting.name for setting in offer.settings if setting.required]
    schema = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    return types.Tool(
        name=offer.name,
        description=_description(card),
        input_schema=schema,
        _meta={OUTPUTS: {port.name: show_port(_plain(port)) for port in card.outputs}},
    )


def _plain(port: Port) -> Port:
    """A port without what depends on settings or inputs, which another process does not know."""
    kept = {key: value for key, value in port.constraints.items() if not str(value).startswith("$")}
    return Port(port.name, port.modality, port.many, port.optional, kept)


def _description(card: Card) -> str:
    made = ", ".join(f"{port.name} ({_words(port)})" for port in card.outputs)
    either = f" Give exactly one of {', '.join(card.either)}." if card.either else ""
    doc = card.doc.strip() or card.short
    return f"{doc}{'' if doc.endswith(('.', '!', '?')) else '.'}{either} Makes {made}."


def _words(port: Port) -> str:
    modality = "media of any kind" if port.modality == ANY else port.modality
    text = f"several: {modality}" if port.many else modality
    return f"{text}, or nothing" if port.optional else text


def _port(port: Port, paths: bool) -> dict[str, Any]:
    one: dict[str, Any] = {"type": "string"}
    if port.modality != "text":
        one["format"] = "uri-reference" if paths or port.modality == ANY else "uri"
    about = _about(port, paths)
    label = {"description": about, PORT: show_port(_plain(port))}
    return {"type": "array", "items": one, **label} if port.many else {**one, **label}


def _about(port: Port, paths: bool) -> str:
    if port.modality == "text":
        return "Several texts." if port.many else "Text."
    kind = "Media of any kind" if port.modality == ANY else f"{port.modality.capitalize()}"
    ways = ["a data: URI", f"an address that this server gave ({SCHEME}…)"]
    ways += ["the path of a file below the server's root"] if paths else []
    ways += ["plain words for a text"] if port.modality == ANY else []
    return f"{kind}{', each' if port.many else ''}: {', '.join(ways[:-1])} or {ways[-1]}."


def _setting(setting: Setting) -> dict[str, Any]:
    kind = _TYPES[setting.type]
    schema: dict[str, Any] = {"type": [kind, "null"] if setting.optional else kind}
    if setting.choices:
        schema["enum"] = [*setting.choices, *([None] if setting.optional else [])]
    if not setting.required:
        schema["default"] = setting.default
    return schema


def check_unique(offers: Sequence[Offer]) -> None:
    """CardError if two of them would be called the same."""
    first: dict[str, str] = {}
    for item in offers:
        other = first.setdefault(item.name, item.card.name)
        if other != item.card.name:
            raise CardError(f"{other} and {item.card.name} would both be served as {item.name}; serve one of them")
