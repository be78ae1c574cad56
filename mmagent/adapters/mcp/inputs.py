"""From the JSON arguments of a call to media and settings, every byte by the guarded door."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote

from mmagent.adapters.mcp.held import Shelter
from mmagent.adapters.mcp.labels import NAMED, SCHEME
from mmagent.adapters.mcp.offer import SEED, Offer
from mmagent.card import ANY, Port, Scalar, Setting
from mmagent.errors import CardError, IntakeError
from mmagent.intake import Limits, inside
from mmagent.media import MODALITIES, Media, Text, fits, modality

_FILE = re.compile(r"file:(//(localhost)?(?=/))?", re.IGNORECASE)
"""What of a `file:` URI comes before its path."""
_SEED = Setting(SEED, "int")


@dataclass(slots=True)
class Door:
    """What one call may name: data URIs, what `held` keeps, files below `root` if there is one.

    `limits` are what is left: its decoded bytes are for all that the call names together, not for each.
    """

    held: Shelter
    root: Path | None
    limits: Limits

    def text(self, value: object, name: str) -> Text:
        """Words; CardError if they are none."""
        if not isinstance(value, str):
            raise CardError(f"argument {name} is a string, not {_shown(value)}")
        self.limits.check("characters", len(value), f"argument {name}")
        return Text(value)

    def medium(self, value: object, port: Port) -> Media:
        """The value of a port; IntakeError or CardError says what was refused, without repeating it."""
        if port.modality == "text":
            return self.text(value, port.name)
        if not isinstance(value, str):
            raise CardError(f"argument {port.name} is the address of {port.modality}, not {_shown(value)}")
        medium = self._opened(value, port)
        if medium is not None:
            self.limits = self.limits.less(medium.nbytes)
            return medium
        if port.modality == ANY:
            return self.text(value, port.name)
        files = "a path below its root" if self.root else "a path, if it is started with --root"
        raise IntakeError(f"argument {port.name} is a data: URI, an address that this server gave, or {files}")

    def _opened(self, value: str, port: Port) -> Media | None:
        """The medium at an address; None if it is none."""
        kind = Media if port.modality == ANY else modality(port.modality)
        if value.startswith(SCHEME):
            held = self.held.get(value)
            own = modality(held.modality) if kind is Media else kind
            return own.decode(held.data, held.name, self.limits)
        if value[:5].lower() == "data:":
            return _named(value, port, kind).open(value, limits=self.limits)
        if self.root is None:
            return None
        file = _FILE.match(value)
        path = inside(self.root, unquote(value[file.end() :]) if file else value)
        return kind.open(path, limits=self.limits) if path is not None else None


def _named(uri: str, port: Port, kind: type[Media]) -> type[Media]:
    """What a data URI says that it is, if the port takes that; our own client says so where the file does not."""
    _, label, rest = uri.partition(",")[0].partition(NAMED)
    name = rest.partition(";")[0]
    return modality(name) if label and name in MODALITIES and fits(name, port.modality) else kind


def read_arguments(
    offer: Offer, given: Mapping[str, Any], door: Door
) -> tuple[dict[str, Media | list[Media]], dict[str, Scalar], int]:
    """The inputs, settings and seed of a call; CardError for an argument that there is not, or of another type."""
    ports = {port.name: port for port in offer.card.inputs}
    settings = {setting.name: setting for setting in offer.settings}
    known = [*ports, *settings, *([SEED] if offer.seeded else [])]
    for name in given:
        if name not in known:
            raise CardError(f"{offer.name} has no argument {name!r:.80}; it has {', '.join(known) or 'none'}")
    inputs: dict[str, Media | list[Media]] = {}
    for name, port in ports.items():
        value = given.get(name)
        if value is None:
            if not port.optional:
                raise CardError(f"{offer.name} needs the argument {name}: {port}")
        elif not port.many:
            inputs[name] = door.medium(value, port)
        elif isinstance(value, list):
            inputs[name] = [door.medium(item, port) for item in value]
        else:
            raise CardError(f"argument {name} is a list, not {_shown(value)}")
    chosen = {name: _scalar(given[name], settings[name], offer.name) for name in settings if name in given}
    seed = _scalar(given.get(SEED, 0) if offer.seeded else 0, _SEED, offer.name)
    return inputs, chosen, cast(int, seed)


def _scalar(value: object, setting: Setting, owner: str) -> Scalar:
    if setting.type == "int" and isinstance(value, float) and value.is_integer():
        value = int(value)  # JSON does not tell them apart
    return setting.check(value, owner)


def _shown(value: object) -> str:
    return {bool: "a truth value", dict: "an object", list: "a list", str: "a string"}.get(type(value), "a number")
