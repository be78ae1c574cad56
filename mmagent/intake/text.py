"""Text files: UTF-8 with or without a byte-order mark, or UTF-16 with one."""

from __future__ import annotations

import codecs

from mmagent.errors import IntakeError
from mmagent.intake.limits import DEFAULT, Limits
from mmagent.intake.source import NAMELESS

_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


def decode(data: bytes, name: str = "", limits: Limits | None = None) -> str:
    """The text of a file; IntakeError if it is not UTF-8 (or UTF-16 with a byte-order mark). Line ends stay."""
    name, bounds = name or NAMELESS, limits or DEFAULT
    mark, encoding = next(((mark, code) for mark, code in _MARKS if data.startswith(mark)), (b"", "utf-8"))
    # No character takes more than four bytes, so this refuses early without refusing wrongly.
    bounds.check("characters", (len(data) - len(mark)) // 4, name)
    try:
        text = data[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        raise IntakeError(
            f"{name}: not {encoding} text (byte {error.start + len(mark):,}); save it as UTF-8, "
            "or open it with the class of what it is"
        ) from None
    bounds.check("characters", len(text), name)
    return text


def encode(text: str) -> bytes:
    """The text as UTF-8; text that begins with U+FEFF gets a byte-order mark before it, so that it keeps its own."""
    data = text.encode()
    return codecs.BOM_UTF8 + data if data.startswith(codecs.BOM_UTF8) else data


def is_text(data: bytes) -> bool:
    """Whether bytes of an unknown kind are text: they decode, and hold no NUL, which binary files do."""
    if b"\0" in data and not data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return False  # known at once, where decoding would go through the whole file
    try:
        return "\0" not in decode(data, limits=Limits(characters=len(data)))
    except IntakeError:
        return False
