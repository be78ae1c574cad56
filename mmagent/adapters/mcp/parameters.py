"""The JSON schema of a server's tool as ports and settings.

It reads schemas alone: no session, no values. Where a schema leaves open what a parameter carries, it is a setting.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from mmagent.adapters.mcp.labels import PORT, SEED
from mmagent.adapters.mcp.schemas import Carried, Schema, carries, members, plain, resolved
from mmagent.card import ANY, Port, Setting
from mmagent.errors import CardError
from mmagent.graph.ports import parse_port
from mmagent.media import MODALITIES

Form = Literal["plain", "json", "text", "base64", "uri", "ours", "seed"]

_SENT: Mapping[str, Form] = {"base64": "base64", "uri": "uri"}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument of a server's tool: its `name` there, the port or setting that it is here, and how it is written.

    `form`: `plain` as it is, `json` parsed first, `text` the words of a Text, `base64` a file's bytes, `uri` the
    same as a data URI, `ours` that with its modality named, `seed` what the call's seed is, which is then no setting. `mime` is the type of file that is asked for, if one is. `null`: None is sent, not left out.
    """

    name: str
    item: Port | Setting
    form: Form
    mime: str = ""
    null: bool = False


def read_parameters(schema: Schema, owner: str, chosen: Mapping[str, str]) -> tuple[Parameter, ...]:
    """The parameters of a tool's input schema, in its order.

    `chosen` says by name what a parameter is: a port (`image`, `list[image]`), with the form it is sent in where the
    schema does not tell (`image as uri`), `seed`, or `setting`. Of the others those that the schema declares to carry media
    are ports (`contentEncoding`, `contentMediaType`, formats `byte` and `data-uri`), and so is a plain string that is
    the only one which is required: a Text. CardError for a name that is no parameter, or a choice that is no port.
    """
    properties, required = members(schema, owner)
    unknown = [name for name in chosen if name not in properties]
    if unknown:
        raise CardError(f"{owner}: no parameter {unknown[0]!r}; it has {', '.join(properties) or 'none'}")
    found = {
        name: _parameter(name, properties[name], schema, name in required, chosen.get(name, ""), owner)
        for name in properties
    }
    _give_the_text_a_port(found, required, chosen)
    return tuple(found.values())


def _give_the_text_a_port(found: dict[str, Parameter], required: frozenset[str], chosen: Mapping[str, str]) -> None:
    """Make a port of the one string that a tool cannot do without, so that a caption can enter there."""
    strings = [
        name
        for name, parameter in found.items()
        if name in required
        and parameter.form == "plain"
        and isinstance(parameter.item, Setting)
        and parameter.item.type == "str"
        and not parameter.item.choices
    ]
    texts = [parameter for parameter in found.values() if parameter.form == "text"]
    if len(strings) == 1 and not texts and chosen.get(strings[0]) != "setting":
        name = strings[0]
        found[name] = Parameter(name, Port(found[name].item.name, "text"), "text")


def _parameter(name: str, schema: Any, root: Schema, required: bool, choice: str, owner: str) -> Parameter:
    where = f"{owner}: parameter {name}"
    own = f"{name}_" if name == "ctx" else name  # which is the context of a call here
    bare, null = resolved(schema, root)
    inner = resolved(bare.get("items"), root)[0] if bare.get("type") == "array" else bare
    carried = None if choice == "setting" else carries(inner)
    if choice == "seed" or (not choice and bare.get(SEED) is True):
        return Parameter(name, Setting(own, "int"), "seed")
    if choice and choice != "setting":
        return _chosen(name, own, choice, required, carried, where)
    label = bare.get(PORT)
    if choice != "setting" and isinstance(label, str):
        port = read_port(own, label, where)
        return Parameter(name, replace(port, optional=not required), "text" if port.modality == "text" else "ours")
    if carried is not None:
        modality, form, mime = carried
        return Parameter(name, Port(own, modality, inner is not bare, not required), form, mime, null)
    return _setting(name, own, bare, required, null)


def _chosen(name: str, own: str, choice: str, required: bool, carried: Carried | None, where: str) -> Parameter:
    """A parameter that is the port which the caller says."""
    text, _, said = (part.strip() for part in choice.partition(" as "))
    if said and said not in _SENT:
        raise CardError(f"{where}: {said!r} is no way to send media; write 'as base64' or 'as uri'")
    port = replace(read_port(own, text, where), optional=not required)
    declared: Form = "text" if port.modality == "text" else carried[1] if carried else "base64"
    return Parameter(name, port, _SENT.get(said, declared), carried[2] if carried else "")


def read_port(name: str, text: str, where: str) -> Port:
    """The port that a text describes; CardError if it describes none, or one of a modality that is not registered."""
    try:
        port = parse_port(name, " ".join(text.split()))  # its parser takes for ever over many spaces
    except ValueError as error:
        raise CardError(f"{where}: {error}") from None
    if port.modality != ANY and port.modality not in MODALITIES:
        raise CardError(f"{where}: no modality {port.modality!r} is registered; import the file that declares it")
    return port


def _setting(name: str, own: str, schema: Schema, required: bool, null: bool) -> Parameter:
    """A scalar as it is, anything else as text that holds JSON.

    Without a default that fits, one that is not required may be left empty: the server then takes its own.
    """
    kind, choices = plain(schema)
    listed = schema.get("enum")
    null = null or (isinstance(listed, list) and None in listed)
    bare = Setting(own, kind or "str", choices=choices if kind else ())
    default = schema.get("default")
    if kind is None and default is not None:
        default = json.dumps(default)
    try:
        default = bare.check(default, name) if default is not None else None
    except CardError:
        default = None
    item = replace(
        bare,
        default=default,
        required=required and default is None,
        optional=null or not (required or default is not None),
    )
    return Parameter(name, item, "plain" if kind else "json", null=null and (required or default is not None))


def slug(name: str) -> str:
    """A name as tools are named here.

    >>> slug("Paint_Box.drawImage")
    'paint-box-draw-image'
    """
    parts = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()
    return re.sub(r"[^a-z0-9]+", "-", parts).strip("-")
