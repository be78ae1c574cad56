"""What a server's tool makes, as ports: as the caller says, as our server's label says, as its output schema says, or text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mmagent.adapters.mcp.labels import OUTPUTS
from mmagent.adapters.mcp.parameters import read_port
from mmagent.adapters.mcp.schemas import Schema, carries, members, resolved
from mmagent.card import ANY, Port

Makes = str | Mapping[str, str]


def read_outputs(
    makes: Makes | None, meta: Mapping[str, Any] | None, schema: Schema | None, owner: str
) -> tuple[tuple[Port, ...], bool]:
    """The output ports, and whether they are read from the structured content.

    `makes` is a port (`image`, `list[image]`) or several by name. An output schema counts where one of its
    properties is declared to carry media; then each property is an output. CardError for what is no port.
    """
    where = f"{owner}: what it makes"
    if isinstance(makes, str):
        return (_named(read_port("", makes, where)),), False
    label = (meta or {}).get(OUTPUTS)
    if makes is None and isinstance(label, Mapping):
        makes = {str(name): str(text) for name, text in label.items()}
    if makes:
        return tuple(read_port(name, text, where) for name, text in makes.items()), False
    return _declared(schema, owner) or ((Port("text", "text"),), False)


def _declared(schema: Schema | None, owner: str) -> tuple[tuple[Port, ...], bool] | None:
    if schema is None:
        return None
    properties, required = members(schema, owner)
    ports: list[Port] = []
    media = False
    for name, value in properties.items():
        bare, null = resolved(value, schema)
        inner = resolved(bare.get("items"), schema)[0] if bare.get("type") == "array" else bare
        carried = carries(inner)
        media = media or carried is not None
        modality, many = (carried[0], inner is not bare) if carried else ("text", False)
        ports.append(Port(name, modality, many, null or name not in required))
    return (tuple(ports), True) if media else None


def _named(port: Port) -> Port:
    return replace(port, name="media" if port.modality == ANY else port.modality)
