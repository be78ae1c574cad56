"""From what a caller names (a path, bytes, a data URI, an allowed URL) to bytes with a name."""

from __future__ import annotations

import base64
import binascii
import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote_to_bytes

from mmagent.errors import IntakeError
from mmagent.intake.limits import DEFAULT, Limits

NAMELESS = "the bytes given"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_LONGEST_PATH = 1024


@dataclass(frozen=True, slots=True)
class Source:
    """Bytes and the name to call them by in errors; its ending helps to tell what they are."""

    data: bytes = field(repr=False)
    name: str


def read(source: object, hosts: Sequence[str] = (), limits: Limits | None = None) -> Source:
    """The bytes of a path, of bytes themselves, of a `data:` URI, or of an http(s) URL on one of `hosts`.

    Reads at most `limits.file_bytes`. IntakeError says what was refused and how to allow it.
    """
    bounds = limits or DEFAULT
    if isinstance(source, (bytes, bytearray, memoryview)):
        size = source.nbytes if isinstance(source, memoryview) else len(source)
        bounds.check("file_bytes", size, NAMELESS)
        return Source(bytes(source), NAMELESS)
    if isinstance(source, str):
        if source[:5].lower() == "data:":
            return _data_uri(source, bounds)
        scheme = _SCHEME.match(source)
        if scheme is not None:
            return _url(source, scheme[1].lower(), hosts, bounds)
    if isinstance(source, (str, os.PathLike)):
        return _file(os.fspath(source), bounds)
    raise IntakeError(
        f"cannot read {type(source).__name__}; give a path, bytes, a data: URI, or a URL with hosts=[...]"
    )


def _file(path: str | bytes, limits: Limits) -> Source:
    text = os.fsdecode(path)
    if len(text) > _LONGEST_PATH or "\0" in text:
        # Most likely base64 or the content itself; it must not be repeated in an error.
        raise IntakeError(f"a string of {len(text):,} characters is no path; wrap base64 as 'data:TYPE;base64,...'")
    try:
        if not stat.S_ISREG(Path(text).stat().st_mode):
            # A pipe or a device would block, or never end.
            raise IntakeError(f"{text} is not a regular file; give the file itself, or its bytes")
        with Path(text).open("rb") as file:
            limits.check("file_bytes", os.fstat(file.fileno()).st_size, text)
            data = file.read(int(limits.file_bytes) + 1)
    except OSError as error:
        raise IntakeError(f"cannot read {text}: {error.strerror}; check the path (relative to {Path.cwd()})") from error
    limits.check("file_bytes", len(data), text)
    return Source(data, text)


def _data_uri(uri: str, limits: Limits) -> Source:
    """`data:text/plain;base64,aGk=` gives the bytes `hi`, called `data:text/plain`."""
    head, comma, body = uri.partition(",")
    kind = head[5:].split(";")[0][:80] or "text/plain"
    name = f"data:{kind}"
    if not comma:
        raise IntakeError("a data: URI has a comma before its content; write it as data:TYPE;base64,CONTENT")
    if not head.lower().endswith(";base64"):
        limits.check("file_bytes", len(body) // 3, name)
        data = unquote_to_bytes(body)
    else:
        limits.check("file_bytes", len(body) * 3 // 4 - 2, name)
        try:
            data = base64.b64decode(unquote_to_bytes(body), validate=True)
        except binascii.Error:
            raise IntakeError(f"{name}: the content is not base64; encode it again, without spaces") from None
    limits.check("file_bytes", len(data), name)
    return Source(data, name)


def _url(url: str, scheme: str, hosts: Sequence[str], limits: Limits) -> Source:
    if scheme not in ("http", "https"):
        raise IntakeError(f"cannot read a {scheme}:// address; give a path, bytes, a data: URI, or an http(s) URL")
    from mmagent.intake import url as fetching

    data, name = fetching.fetch(url, hosts, limits)
    return Source(data, name)
