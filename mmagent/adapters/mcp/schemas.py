"""What a JSON schema says of a value: its type, its choices, the media that a string carries. It knows no tools."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from mmagent.card import ANY, Scalar
from mmagent.errors import CardError
from mmagent.media.modalities import kinds

Schema = Mapping[str, Any]
Plain = Literal["str", "int", "float", "bool"]
Carried = tuple[str, Literal["base64", "uri"], str]
"""The modality, form and MIME type of the media that a string carries; the last may be empty."""

_TYPES: Mapping[object, Plain] = {"string": "str", "integer": "int", "number": "float", "boolean": "bool"}
_KINDS: Mapping[type, Plain] = {str: "str", int: "int", float: "float", bool: "bool"}
_DEEPEST = 16


def members(schema: Schema, owner: str) -> tuple[Schema, frozenset[str]]:
    """The properties that a schema gives an object, and which of them are required; CardError if it says neither."""
    properties, required = schema.get("properties") or {}, schema.get("required") or []
    if (
        isinstance(properties, Mapping)
        and isinstance(required, list)
        and all(isinstance(item, str) for item in required)
    ):
        return properties, frozenset(required)
    raise CardError(f"{owner}: its schema is none, by its properties or what is required; leave it out with only=")


def resolved(schema: Any, root: Schema) -> tuple[Schema, bool]:
    """A schema with its local references followed, and whether it allows null, which is taken out of it."""
    null = False
    bare: dict[str, Any] = dict(schema) if isinstance(schema, Mapping) else {}
    for _ in range(_DEEPEST):
        options = next((bare[key] for key in ("anyOf", "oneOf", "allOf") if isinstance(bare.get(key), list)), None)
        if isinstance(bare.get("$ref"), str):
            target = _local(bare.pop("$ref"), root)
        elif options is not None:
            others = [item for item in options if not (isinstance(item, Mapping) and item.get("type") == "null")]
            null = null or len(others) < len(options)
            if len(others) != 1:
                break
            for key in ("anyOf", "oneOf", "allOf"):
                bare.pop(key, None)
            target = others[0]
        elif isinstance(bare.get("type"), list):
            types = [item for item in bare["type"] if item != "null"]
            null = null or len(types) < len(bare["type"])
            bare["type"] = types[0] if len(types) == 1 else ""
            break
        else:
            break
        bare = {**(target if isinstance(target, Mapping) else {}), **bare}
    return bare, null


def _local(reference: str, root: Schema) -> Any:
    """What `#/$defs/Name` stands for in the same schema; nothing is looked up elsewhere."""
    found: Any = root
    for part in reference.removeprefix("#").strip("/").split("/"):
        found = found.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
    return found


def carries(schema: Schema) -> Carried | None:
    """The modality, form and MIME type of the media that a string is declared to carry; None if it carries none.

    >>> carries({"type": "string", "contentEncoding": "base64", "contentMediaType": "image/jpeg"})
    ('image', 'base64', 'image/jpeg')
    """
    mime = str(schema.get("contentMediaType") or "").lower()
    format_ = str(schema.get("format") or "").lower()
    form: Literal["base64", "uri"] = "uri" if format_ in ("data-uri", "data-url", "uri") else "base64"
    encoded = str(schema.get("contentEncoding") or "").lower() == "base64" or format_ in (
        "byte",
        "data-uri",
        "data-url",
    )
    if not mime:
        return (ANY, form, "") if encoded else None
    modality = modality_of(mime)
    if modality is None or (modality == "text" and not encoded):
        return None
    return modality, form, mime


def modality_of(mime: str) -> str | None:
    """The modality that a MIME type belongs to, by its own name or, for `image/*` and the like, by its family."""
    from mmagent.intake.kinds import KINDS

    family = mime.partition("/")[0]
    known = kinds().get(mime) or KINDS.get(mime)
    return known or (family if family in ("text", "image", "audio", "video") else None)


def plain(schema: Schema) -> tuple[Plain | None, tuple[Scalar, ...]]:
    """The type and choices of a value that is one of a setting's; no type for any other."""
    listed = [schema["const"]] if "const" in schema else schema.get("enum")
    if isinstance(listed, list) and listed:
        choices = tuple(item for item in listed if item is not None)
        types = {type(item) for item in choices}
        found = _KINDS.get(types.pop()) if len(types) == 1 else None
        return (found, choices) if found else (None, ())
    declared = schema.get("type")
    return (_TYPES.get(declared) if isinstance(declared, str) else None), ()
