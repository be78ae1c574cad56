"""Text as a medium."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from blake3 import blake3

from mmagent.errors import MediaError
from mmagent.media.value import Media, Scalar

if TYPE_CHECKING:
    from mmagent.intake import Limits

_NOTHING: dict[str, Any] = {}
_SHOWN = 80
_put = object.__setattr__  # Media's own refuses


class Text(Media, modality="text", suffix=".txt", mime="text/plain"):
    """A piece of text, any Unicode without lone surrogates. `lang` is a BCP 47 tag if it is known.

    A text file holds the text alone: `lang` is not in it.
    """

    __slots__ = ("text",)

    suffixes = {".txt": True, ".md": True}
    text: str

    def __init__(self, text: str, lang: str | None = None) -> None:
        if not isinstance(text, str):
            raise MediaError(f"Text takes a str, not {type(text).__name__}; open a file with Text.open(path)")
        if lang is not None and not isinstance(lang, str):
            raise MediaError(f"lang is a BCP 47 tag like 'de', not {type(lang).__name__}; leave it out if unknown")
        if not text.isascii():  # which is known without looking
            try:
                text.encode()
            except UnicodeEncodeError as error:
                raise MediaError(
                    f"text holds a lone surrogate at position {error.start}; decode its bytes as UTF-8 first"
                ) from None
        _put(self, "_arrays", _NOTHING)
        _put(self, "_meta", {"lang": lang} if lang else _NOTHING)
        _put(self, "_digest", "")
        _put(self, "text", text)

    @property
    def digest(self) -> str:
        """BLAKE3 (hex) of the text and its meta, computed once."""
        if not self._digest:
            head = self._head() if self._meta else b"%b\0{}" % self.modality.encode()
            _put(self, "_digest", blake3(b"%b\0text\0%b" % (head, self.text.encode())).hexdigest())
        return self._digest

    @property
    def nbytes(self) -> int:
        return len(self.text.encode())

    def describe(self) -> dict[str, Scalar]:
        return {"characters": len(self.text), **self._meta}

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        if len(self.text) <= _SHOWN:
            return f"Text({self.text!r})"
        return f"Text({self.text[:_SHOWN] + '…'!r}, characters={len(self.text)})"

    def encode(self, suffix: str | None = None) -> bytes:
        from mmagent.intake.text import encode

        return encode(self.text)

    @classmethod
    def decode(cls, data: bytes, name: str = "", limits: Limits | None = None) -> Self:
        from mmagent.intake.text import decode

        return cls(decode(data, name, limits))
