"""From the values of ports and settings to the JSON arguments of a server's tool, checked before they are sent."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mmagent.adapters.mcp.labels import NAMED
from mmagent.adapters.mcp.parameters import Parameter
from mmagent.adapters.mcp.schemas import Schema
from mmagent.errors import CardError, MediaError
from mmagent.media import Media, Text

_ENDINGS = {
    "image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp", "image/gif": ".gif",
    "audio/wav": ".wav", "audio/x-wav": ".wav", "audio/flac": ".flac", "audio/ogg": ".ogg", "audio/mpeg": ".mp3",
    "video/mp4": ".mp4", "video/webm": ".webm", "video/x-matroska": ".mkv",
}  # fmt: skip
"""The file that is written for a MIME type; for any other, the modality's own lossless one."""

Check = Callable[[Mapping[str, Any]], None]


def to_arguments(parameters: Sequence[Parameter], given: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """The arguments for ports and settings by their names here; what is None is left out, unless the server wants it.

    CardError for JSON that cannot be read, MediaError for media that cannot be written as the server wants them.
    """
    made: dict[str, Any] = {}
    for parameter in parameters:
        value = given.get(parameter.item.name)
        if parameter.form == "seed":
            value = seed % 2**31  # as much as every server's integers hold
        if value is None:
            if parameter.null:
                made[parameter.name] = None
        elif parameter.form == "json":
            made[parameter.name] = parsed(parameter, value)
        elif parameter.form in ("plain", "seed"):
            made[parameter.name] = value
        elif isinstance(value, list | tuple):
            made[parameter.name] = [_written(item, parameter) for item in value]
        else:
            made[parameter.name] = _written(value, parameter)
    return made


def parsed(parameter: Parameter, text: str) -> Any:
    """The value of a setting that holds JSON; CardError says where it cannot be read."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CardError(f"setting {parameter.item.name} holds JSON, and this is none: {error}") from None


def _written(media: Media, parameter: Parameter) -> str:
    if parameter.form == "text":
        if not isinstance(media, Text):
            raise MediaError(f"parameter {parameter.name} takes text, not {media.modality}")
        return media.text
    if parameter.form == "ours":
        return media.data_uri().replace(";", f"{NAMED}{media.modality};", 1)
    mime = parameter.mime if parameter.mime in _ENDINGS else media.mime
    data = base64.b64encode(
        media.encode(_ENDINGS[mime] if mime == parameter.mime and mime != media.mime else None)
    ).decode()
    return f"data:{mime};base64,{data}" if parameter.form == "uri" else data


def checker(schema: Schema) -> Check:
    """What checks arguments against a tool's input schema; a schema that is none itself lets everything pass.

    CardError lists each argument that is not as it should be, by its place and never by its value, which may hold
    media. References to other documents are not followed, and regular expressions are left to the server.
    """
    from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it has no types
    from jsonschema.validators import validator_for  # type: ignore[import-untyped]  # the same
    from referencing import Registry

    try:
        bare = _without_patterns(schema)
        kind = validator_for(bare, default=Draft202012Validator)
        kind.check_schema(bare)
        validator = kind(bare, registry=Registry())
    except Exception:  # the library's SchemaError, or any other, which odd schemas make it stumble into
        return lambda arguments: None

    def check(arguments: Mapping[str, Any]) -> None:
        try:
            faults = [
                f"{fault.json_path} is not {fault.validator} {json.dumps(fault.validator_value, default=str)[:120]}"
                for fault in validator.iter_errors(arguments)
            ]
        except Exception:  # a reference to elsewhere, or to itself: the server knows what it means, and checks it
            return
        if faults:
            raise CardError(f"its arguments are not what its schema asks for: {'; '.join(faults)}")

    return check


def _without_patterns(schema: Any) -> Any:
    """The same without regular expressions: one can be written so that it takes for ever, and holds the process."""
    if isinstance(schema, list):
        return [_without_patterns(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    gone = {"pattern"} if isinstance(schema.get("pattern"), str) else set()  # a property may be called so
    named = schema.get("patternProperties")
    if isinstance(named, Mapping) and all(isinstance(item, Mapping | bool) for item in named.values()):
        gone |= {"patternProperties", "additionalProperties", "unevaluatedProperties"}  # which ask the first
    return {key: _without_patterns(value) for key, value in schema.items() if key not in gone}
