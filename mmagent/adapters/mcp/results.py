"""From what a server's tool answered to media, each by the guarded door and into the output that its card declares.

It knows content blocks; reading the resources that they link to is left to the caller.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mmagent.adapters.mcp.labels import COPY, MODALITY, OUTPUT
from mmagent.card import ANY, Port
from mmagent.errors import MediaError
from mmagent.intake import Limits, read, sniff
from mmagent.media import MODALITIES, Media, Text, fits, modality
from mmagent.media.modalities import kinds

if TYPE_CHECKING:
    import mcp_types as types

_MIME = re.compile(r"[\w.+-]+/[\w.+-]+")


@dataclass(frozen=True, slots=True)
class Piece:
    """One item of an answer: words, or a file in base64. `modality` is empty where only its bytes can tell.

    `output` is the output that it was made for, if the server says so.
    """

    modality: str
    data: str
    mime: str = ""
    output: str = ""


def pieces(block: types.ContentBlock) -> Iterator[Piece | types.ResourceLink]:
    """What a content block holds; a link, unless the block before it holds the same, is given back to be read."""
    if block.type == "text":
        yield Piece("text", block.text, output=_label(block.meta, OUTPUT))
    elif block.type == "image" or block.type == "audio":
        narrower = _label(block.meta, MODALITY)
        kind = narrower if fits(narrower, block.type) else block.type
        yield Piece(kind, block.data, block.mime_type, _label(block.meta, OUTPUT))
    elif block.type == "resource":
        yield of_resource(block.resource, block.meta)
    elif not (block.meta or {}).get(COPY):
        yield block


def of_resource(
    contents: types.TextResourceContents | types.BlobResourceContents, meta: Mapping[str, Any] | None
) -> Piece:
    """The item that a resource is: its words, or its file. `meta` is that of the block which holds it or links to it."""
    output, mime = _label(meta, OUTPUT), contents.mime_type or ""
    text = getattr(contents, "text", None)
    if isinstance(text, str):
        return Piece("text", text, mime, output)
    kind = _label(meta, MODALITY)
    return Piece(kind if kind in MODALITIES else "", getattr(contents, "blob", ""), mime, output)


def _label(meta: Mapping[str, Any] | None, key: str) -> str:
    return str((meta or {}).get(key) or "")


def settle(found: Sequence[Piece], ports: Sequence[Port], structured: Any, limits: Limits) -> dict[str, Any]:
    """The value of each port: media, a list of them, or None.

    Items go to the port that the server names, else to the first that takes them and is still free. Words that no
    port takes accompany media and are left out; media that no port takes raise MediaError, as does a port that must
    have a value and has none. IntakeError for a file that is refused.
    """
    filled: dict[str, list[Media]] = {port.name: [] for port in ports}
    for piece in found:
        if piece.modality == "text":
            port = _port_for("text", piece.output, ports, filled)
            if port is not None:
                limits.check("characters", len(piece.data), "its text")
                filled[port.name].append(Text(piece.data))
            continue
        media, port = _opened(piece, ports, filled, limits)
        if port is None:
            said = ", ".join(map(str, ports))
            raise MediaError(f"it gave {media}, and its card says {said}; say what it makes, makes='{media}'")
        filled[port.name].append(media)
    _speak(filled, ports, structured)
    return {port.name: _value(port, filled[port.name]) for port in ports}


def _opened(
    piece: Piece, ports: Sequence[Port], filled: Mapping[str, list[Media]], limits: Limits
) -> tuple[Any, Port | None]:
    """A file as media and the port that takes it; its modality alone where none does."""
    mime = piece.mime if _MIME.fullmatch(piece.mime) else "application/octet-stream"
    source = read(f"data:{mime};base64,{piece.data}", limits=limits)
    base = piece.modality or sniff(source.data, source.name, kinds())
    port = _port_for(base, piece.output, ports, filled)
    if port is None:
        return base, None
    narrower = port.modality != ANY and fits(port.modality, base)
    return modality(port.modality if narrower else base).decode(source.data, source.name, limits), port


def _port_for(base: str, output: str, ports: Sequence[Port], filled: Mapping[str, list[Media]]) -> Port | None:
    takes = [
        port for port in ports if fits(base, port.modality) or (port.modality != ANY and fits(port.modality, base))
    ]
    named = [port for port in takes if port.name == output]
    free = [port for port in takes if port.many or not filled[port.name]]
    # A tool that makes one text may say it in several blocks.
    return next(iter(named or free or (takes if base == "text" and len(takes) == 1 else [])), None)


def _speak(filled: dict[str, list[Media]], ports: Sequence[Port], structured: Any) -> None:
    """One text for a port that takes one; where a tool whose card says text said nothing, its structured content."""
    for port in ports:
        if port.modality == "text" and not port.many:
            words = [item.text for item in filled[port.name] if isinstance(item, Text)]
            if len(words) > 1:
                filled[port.name] = [Text("\n".join(words))]
            elif not words and len(ports) == 1 and not port.optional:
                filled[port.name] = [Text("" if structured is None else json.dumps(structured, ensure_ascii=False))]


def _value(port: Port, found: list[Media]) -> Any:
    if port.many:
        return found
    if not found and not port.optional:
        raise MediaError(
            f"it gave no {port.modality} for its output {port.name}; call it by itself to see what it gives"
        )
    return found[0] if found else None


def unpacked(structured: Any, ports: Sequence[Port], limits: Limits) -> dict[str, Any]:
    """The value of each port out of structured content, whose properties the ports are."""
    given = structured if isinstance(structured, Mapping) else {}
    made: dict[str, Any] = {}
    for port in ports:
        value = given.get(port.name)
        items = [] if value is None else value if port.many and isinstance(value, list) else [value]
        made[port.name] = _value(port, [_medium(item, port, limits) for item in items])
    return made


def _medium(value: Any, port: Port, limits: Limits) -> Media:
    if port.modality == "text":
        return Text(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    if not isinstance(value, str):
        raise MediaError(f"its output {port.name} is {type(value).__name__}, where a file in base64 was declared")
    uri = value if value[:5].lower() == "data:" else f"data:application/octet-stream;base64,{value}"
    kind = Media if port.modality == ANY else modality(port.modality)
    return kind.open(uri, limits=limits)
