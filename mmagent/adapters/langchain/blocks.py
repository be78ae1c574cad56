"""Content blocks of LangChain messages as media, and media as content blocks.

A block carries its bytes as base64 with a MIME type, or the handle of a store as `file_id`. It knows no agent.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

from langchain_core.messages import BaseMessage

from mmagent.adapters.langchain.sources import Sources
from mmagent.adapters.langchain.store import MediaStore
from mmagent.errors import IntakeError, MediaError
from mmagent.media import Audio, Image, Media, Text, Video, fits, modality

Block = dict[str, Any]

KINDS: Mapping[str, type[Media]] = {"image": Image, "audio": Audio, "video": Video, "text-plain": Text, "file": Media}
"""The types of block that carry media, with the class that each is read as."""

_MIME = re.compile(r"[\w.+-]+/[\w.+-]+")
_NONE = Sources()


def from_block(block: Mapping[str, Any], sources: Sources = _NONE) -> str | Media | None:
    """What a standard content block holds: words, a medium, or None for a block of another kind.

    `{"type": "audio", "base64": …, "mime_type": "audio/wav"}` gives an Audio; with `extras` that say
    `{"modality": "speech"}` a Speech. IntakeError for what cannot be read, or may not.
    """
    kind = str(block.get("type"))
    if kind == "text":
        return str(block.get("text") or "")
    if kind not in KINDS:
        return None
    if kind == "text-plain" and "text" in block:
        return str(block["text"])
    medium = sources.open(_reference(block), _class(block, kind))
    return medium.text if isinstance(medium, Text) else medium


def to_block(medium: Media, store: MediaStore | None = None, caption: str = "") -> Block:
    """A medium as a standard content block: by its handle where there is a store, else by its bytes.

    The bytes are those of the modality's lossless format (PNG, WAV, Matroska …). What the type of the block does not
    say, the modality and the `caption`, stands in `extras`. MediaError for media without a file format.
    """
    if isinstance(medium, Text):
        return {"type": "text", "text": medium.text}
    if not medium.suffix:
        raise MediaError(f"{medium.modality} has no file format; implement encode() to put it into a message")
    name = medium.modality
    kind = next((kind for kind in ("image", "audio", "video") if fits(name, kind)), "file")
    block: Block = {"type": kind, "mime_type": medium.mime}
    if store is None:
        block["base64"] = base64.b64encode(medium.encode()).decode()
    else:
        block["file_id"] = store.put(medium)
    extras = ({"modality": name} if name != kind else {}) | ({"caption": caption} if caption else {})
    return block | ({"extras": extras} if extras else {})


def media_of(message: BaseMessage, sources: Sources = _NONE) -> list[Media]:
    """The media of a message, in order; IntakeError for what cannot be read, or may not."""
    found = (from_block(dict(block), sources) for block in message.content_blocks)
    return [item for item in found if isinstance(item, Media)]


def _class(block: Mapping[str, Any], kind: str) -> type[Media]:
    """The class to read a block as: that of its type, or a narrower one that its extras declare."""
    wanted = KINDS[kind]
    declared = (block.get("extras") or {}).get("modality")
    if not isinstance(declared, str):
        return wanted
    found = modality(declared)
    if not fits(declared, wanted.modality):
        raise IntakeError(f"a block of type {kind} says that it is {declared}; make its type and extras agree")
    return found


def _reference(block: Mapping[str, Any]) -> str:
    """What a block names its content by: a data URI, a URL or a handle."""
    kind = block["type"]
    if isinstance(block.get("base64"), str):
        mime = str(block.get("mime_type") or "application/octet-stream").split(";")[0].strip()
        if not _MIME.fullmatch(mime):
            raise IntakeError(f"{mime[:80]!r} of a block of type {kind} is no MIME type; write one like 'image/png'")
        return f"data:{mime};base64,{block['base64']}"
    url = block.get("url")
    if isinstance(url, str):
        # A path here would let whoever writes messages read files.
        if not url.lower().startswith(("data:", "http://", "https://")):
            raise IntakeError(
                f"the url of a block of type {kind} is neither http(s) nor data:; send its bytes as base64"
            )
        return url
    handle = block.get("file_id")
    if isinstance(handle, str):
        if not handle.startswith("media:"):
            raise IntakeError(f"file {handle[:80]!r} lies with another provider; send its bytes as base64")
        return handle
    raise IntakeError(f"a block of type {kind} has no base64, url or file_id; give it one")
