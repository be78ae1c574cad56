"""The value that all media are.

This module knows what a value is and what it is equal to; how files are read within limits is
`mmagent.intake`'s business.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

from blake3 import blake3

from mmagent.errors import MediaError
from mmagent.media.arrays import frozen
from mmagent.media.modalities import declare, kinds, modality

if TYPE_CHECKING:
    import numpy as np

    from mmagent.intake import Limits
    from mmagent.media.image import Image

    Array = np.ndarray[Any, np.dtype[Any]]

Scalar = str | int | float | bool | None

_put = object.__setattr__  # Media's own refuses


class Media:
    """An immutable value of one modality; two are equal when their digests are.

    Subclass with `modality=` to register a modality (`suffix` and `mime` of its file, which no other modality
    may have; `refines` for one that fits wherever its parent fits). A subclass hands `arrays` and plain `meta` to `Media.__init__`, gives the
    arrays out as `self.view(name)`, and implements `encode` and `decode`; it may implement `preview`, a picture
    for traces.
    """

    __slots__ = ("_arrays", "_digest", "_meta")

    modality: ClassVar[str] = "any"
    refines: ClassVar[str | None] = None
    suffix: ClassVar[str] = ""
    mime: ClassVar[str] = "application/octet-stream"
    suffixes: ClassVar[Mapping[str, bool]] = {}
    """File endings that `encode` can write; the value says whether that format keeps the content exactly."""

    _arrays: dict[str, Array]
    _meta: dict[str, Scalar]
    _digest: str

    def __init_subclass__(
        cls, *, modality: str | None = None, refines: str | None = None, suffix: str = "", mime: str = "", **kw: Any
    ) -> None:
        super().__init_subclass__(**kw)
        if modality is None:
            return
        if suffix:
            cls.suffix = suffix
            if not cls.__dict__.get("suffixes"):
                cls.suffixes = {suffix: True}
        if suffix or mime:
            cls.mime = mime or f"application/x-{modality}"
        declare(cls, modality, refines)

    def __init__(self, arrays: Mapping[str, object] | None = None, meta: Mapping[str, Scalar] | None = None) -> None:
        for key, value in (meta or {}).items():
            if not (value is None or isinstance(value, (str, int, float))):
                raise MediaError(f"meta {key!r} is plain (str, int, float, bool, None), not {type(value).__name__}")
        _put(self, "_arrays", {name: frozen(array) for name, array in (arrays or {}).items()})
        _put(self, "_meta", dict(meta or {}))
        _put(self, "_digest", "")

    def __setattr__(self, name: str, value: object) -> None:
        raise MediaError(f"{type(self).__name__} is immutable; make a new one instead of setting {name}")

    def __delattr__(self, name: str) -> None:
        raise MediaError(f"{type(self).__name__} is immutable; {name} cannot be deleted")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (type(self), _state(self))

    # -- identity

    @property
    def digest(self) -> str:
        """BLAKE3 (hex) of the decoded content and its meta, computed once."""
        if not self._digest:
            hasher = blake3(self._head())
            for chunk in self._chunks():
                hasher.update(chunk)
            _put(self, "_digest", hasher.hexdigest())
        return self._digest

    def _head(self) -> bytes:
        """Modality and meta; neither can hold a NUL, so that what follows cannot be taken for them."""
        meta = json.dumps(self._meta, sort_keys=True) if self._meta else "{}"
        return f"{self.modality}\0{meta}".encode()

    def _chunks(self) -> Iterator[bytes | memoryview]:
        for name, array in sorted(self._arrays.items()):
            yield f"\0{name}\0{array.dtype.str}\0{array.shape}\0".encode()
            yield array.reshape(-1).view("uint8").data if array.size else b""

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Media) and self.digest == other.digest)

    def __hash__(self) -> int:
        return hash(self.digest)

    @property
    def nbytes(self) -> int:
        """Bytes of decoded content held in memory."""
        return sum(array.nbytes for array in self._arrays.values())

    def describe(self) -> dict[str, Scalar]:
        """Plain facts about the value (size, rate, length …): what port constraints and traces read."""
        return dict(self._meta)

    def __repr__(self) -> str:
        facts = ", ".join(f"{key}={value!r}" for key, value in self.describe().items())
        return f"{type(self).__name__}({facts})"

    def view(self, name: str) -> Array:
        """One of the arrays that were handed to `Media.__init__`, read-only: what a subclass's attributes return.

        Each call gives another view: numpy lets anybody set the shape and type of an array, even a read-only one.
        """
        return self._arrays[name].view()

    # -- bytes out and in

    def encode(self, suffix: str | None = None) -> bytes:
        """The value as a file of that ending (default: the modality's own, lossless)."""
        raise MediaError(f"{type(self).__name__} has no file format; implement encode() to save it")

    @classmethod
    def decode(cls, data: bytes, name: str = "", limits: Limits | None = None) -> Self:
        """The value held by a file's bytes; IntakeError when they are unreadable or over the limits."""
        raise MediaError(f"{cls.__name__} has no file format; implement decode() to load it")

    def preview(self) -> Image | None:
        """A picture that stands for the value in traces and notebooks, if there is one."""
        return None

    def save(self, path: str | Path) -> Path:
        """Write the value to `path`, whole or not at all; without an ending the modality's lossless one is added.

        An ending that this modality cannot write raises MediaError with those it can.
        """
        target = Path(path)
        if not target.suffix:
            target = target.with_suffix(self.suffix)
        self._check_suffix(target.suffix)
        data = self.encode(target.suffix)
        from mmagent.intake import write_atomic

        write_atomic(target, data)
        return target

    @classmethod
    def _check_suffix(cls, suffix: str) -> None:
        if suffix.lower() not in cls.suffixes:
            raise MediaError(f"{cls.__name__} cannot be written as {suffix!r}; use one of {', '.join(cls.suffixes)}")

    @classmethod
    def lossless(cls, suffix: str) -> bool:
        """Whether a file of that ending keeps the content exactly."""
        cls._check_suffix(suffix)
        return cls.suffixes[suffix.lower()]

    @classmethod
    def open(cls, source: str | Path | bytes, *, hosts: Sequence[str] = (), limits: Limits | None = None) -> Self:
        """Read a path, bytes, data URI or (hosts named) URL: `Media.open` finds the modality, `Image.open` insists on it."""
        from mmagent.intake import read, sniff

        found = read(source, hosts=hosts, limits=limits)
        if cls is not Media:
            return cls.decode(found.data, found.name, limits)
        kind = cast("type[Self]", modality(sniff(found.data, found.name, kinds())))  # Self is Media here
        return kind.decode(found.data, found.name, limits)

    def data_uri(self) -> str:
        """The value as a `data:` URI of its own lossless format."""
        return f"data:{self.mime};base64,{base64.b64encode(self.encode()).decode()}"

    def _repr_html_(self) -> str:
        from mmagent.intake.html import show

        return show(self)


def _state(media: Media) -> dict[str, object]:
    """What a value is made of, by attribute: its slots, and what a class without slots keeps in `__dict__`."""
    names = [name for kind in type(media).__mro__ for name in kind.__dict__.get("__slots__", ())]
    found = {name: getattr(media, name) for name in names if hasattr(media, name)}
    return {**found, **getattr(media, "__dict__", {})}


def _rebuilt(kind: type[Media], state: Mapping[str, Any]) -> Media:
    """The value that `_state` took apart, in another process; its arrays are frozen again."""
    media = kind.__new__(kind)
    for name, value in state.items():
        _put(media, name, {key: frozen(array) for key, array in value.items()} if name == "_arrays" else value)
    return media
