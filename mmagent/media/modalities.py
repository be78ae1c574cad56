"""The modalities there are, each registered by being declared, and which fits where."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mmagent.errors import CardError, UnknownName

if TYPE_CHECKING:
    from mmagent.media.value import Media

MODALITIES: dict[str, type[Media]] = {}

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_ENDING = re.compile(r"\.[a-z0-9_+-]*[a-z][a-z0-9_+-]*")
_TYPE = re.compile(r"[a-z]+/[a-z0-9.+-]+")


def declare(cls: type[Media], name: str, refines: str | None) -> None:
    """Register `cls` under a modality's name; CardError if the name, ending or MIME type is malformed or taken.

    Declaring the same class again replaces it, as a notebook does.
    """
    if not _NAME.fullmatch(name) or name == "any":
        raise CardError(f"modality {name!r} is not a name like 'depth' or 'point-flow'; rename it")
    if refines is not None and refines not in MODALITIES:
        raise CardError(f"modality {name!r} refines {refines!r}, which is not registered; declare that first")
    other = MODALITIES.get(name)
    if other is not None and (other.__module__, other.__qualname__) != (cls.__module__, cls.__qualname__):
        raise CardError(f"modality {name!r} is already {other.__module__}.{other.__qualname__}; choose another")
    for ending in filter(None, (cls.suffix, *cls.suffixes)):
        if not _ENDING.fullmatch(ending):
            raise CardError(f"{ending!r} of modality {name!r} is no ending like '.depth': a dot, then small letters")
    if not _TYPE.fullmatch(cls.mime):
        raise CardError(f"{cls.mime!r} of modality {name!r} is no MIME type like 'application/x-depth'; rename it")
    for key in ("suffix", "mime"):
        # What a class inherits stays its parent's: Speech is written as any Audio is, and its file opens as Audio.
        label = cls.__dict__.get(key)
        owner = _owner(label) if label else None
        if owner is not None and owner != name:
            raise CardError(
                f"{key} {label!r} of modality {name!r} belongs to {owner!r}; choose another, "
                f"or inherit from the class of {owner!r} without {key}="
            )
    cls.modality, cls.refines = name, refines
    MODALITIES[name] = cls


def kinds() -> dict[str, str]:
    """Every ending and MIME type that a modality has declared, with its name; a modality's own file comes first."""
    found: dict[str, str] = {}
    for name, kind in MODALITIES.items():
        found.update({label: name for key in ("suffix", "mime") if (label := kind.__dict__.get(key))})
    for name, kind in MODALITIES.items():
        for label in kind.__dict__.get("suffixes", ()):
            found.setdefault(label, name)
    return found


def _owner(label: str) -> str | None:
    from mmagent.intake.kinds import KINDS

    return KINDS.get(label) or kinds().get(label)


def modality(name: str) -> type[Media]:
    """The media class registered for a modality's name; UnknownName lists the registered ones."""
    try:
        return MODALITIES[name]
    except KeyError:
        raise UnknownName(f"no modality {name!r} is registered; there are {', '.join(sorted(MODALITIES))}") from None


def fits(given: str, wanted: str) -> bool:
    """Whether a value of modality `given` may enter a port of modality `wanted`: itself, a refinement, or `any`.

    >>> fits("speech", "audio"), fits("audio", "speech")
    (True, False)
    """
    if wanted == "any":
        return True
    name: str | None = given
    while name is not None:
        if name == wanted:
            return True
        found = MODALITIES.get(name)
        name = found.refines if found is not None else None
    return False
