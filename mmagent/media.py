"""Media: immutable, content-addressed values of one modality, the only thing that crosses an edge.

A user's modality is a subclass of `Media`; it is registered by being declared. This module knows what a value
is and what it is equal to; how files are read within limits is `mmagent.intake`'s business.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from blake3 import blake3

from mmagent.errors import CardError, MediaError, UnknownName

if TYPE_CHECKING:
    import numpy as np
    import PIL.Image

    from mmagent.intake import Limits

    Array = np.ndarray[Any, np.dtype[Any]]

Scalar = str | int | float | bool | None

MODALITIES: dict[str, type[Media]] = {}

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_NOTHING: dict[str, Any] = {}
_SHOWN = 80
_put = object.__setattr__  # Media's own refuses


def frozen(array: object, dtype: str | None = None) -> Array:
    """A C-ordered copy of `array` that nothing can make writable again; an array made so before is returned as is."""
    import numpy as np

    values = np.asarray(array, dtype=dtype)
    if values.dtype.hasobject:
        raise MediaError("media hold numbers, not Python objects; give an array of numbers")
    base: Any = values
    while isinstance(base.base, np.ndarray):
        base = base.base
    little = values.dtype.newbyteorder("<")
    if isinstance(base.base, bytes) and values.flags.c_contiguous and values.dtype == little:
        return values
    # Only an array over `bytes` refuses to be made writable: numpy would let its own memory be.
    return np.frombuffer(values.astype(little, copy=False).tobytes(), dtype=little).reshape(values.shape)


class Media:
    """An immutable value of one modality; two are equal when their digests are.

    Subclass with `modality=` to register a modality (`suffix` and `mime` of its file, `refines` for one that
    fits wherever its parent fits). A subclass hands `arrays` and plain `meta` to `Media.__init__` and
    implements `encode` and `decode`; it may implement `preview`, a picture for traces.
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
        if not _NAME.fullmatch(modality) or modality == "any":
            raise CardError(f"modality {modality!r} is not a name like 'depth' or 'point-flow'; rename it")
        if refines is not None and refines not in MODALITIES:
            raise CardError(f"modality {modality!r} refines {refines!r}, which is not registered; declare that first")
        other = MODALITIES.get(modality)
        if other is not None and (other.__module__, other.__qualname__) != (cls.__module__, cls.__qualname__):
            raise CardError(f"modality {modality!r} is already {other.__module__}.{other.__qualname__}; choose another")
        cls.modality, cls.refines = modality, refines
        cls.suffix, cls.mime = suffix or cls.suffix, mime or cls.mime
        if suffix and not cls.__dict__.get("suffixes"):
            cls.suffixes = {suffix: True}
        MODALITIES[modality] = cls

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
    def open(cls, source: str | Path | bytes, *, hosts: Sequence[str] = (), limits: Limits | None = None) -> Media:
        """Read a path, bytes, data URI or (hosts named) URL: `Media.open` finds the modality, `Image.open` insists on it."""
        from mmagent.intake import read, sniff

        found = read(source, hosts=hosts, limits=limits)
        if cls is not Media:
            return cls.decode(found.data, found.name, limits)
        endings = {suffix: name for name, kind in MODALITIES.items() for suffix in kind.suffixes}
        return modality(sniff(found.data, found.name, endings)).decode(found.data, found.name, limits)

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


class Image(Media, modality="image", suffix=".png", mime="image/png"):
    """A picture: uint8 or uint16 `[H, W, C]`, C = 1 (grey), 3 (RGB) or 4 (RGBA), upright.

    Made from a path, bytes, data URI, an array (`[H, W]` or `[H, W, C]`; floats are refused) or a PIL image.
    """

    __slots__ = ()

    suffixes = {".png": True, ".webp": False, ".jpg": False, ".jpeg": False}

    def __init__(self, source: object, *, limits: Limits | None = None) -> None:
        from mmagent.intake import image

        super().__init__({"pixels": image.pixels(source, limits)})

    @property
    def array(self) -> Array:
        """The pixels `[H, W, C]`, read-only."""
        return self._arrays["pixels"]

    @property
    def height(self) -> int:
        return int(self.array.shape[0])

    @property
    def width(self) -> int:
        return int(self.array.shape[1])

    @property
    def channels(self) -> int:
        return int(self.array.shape[2])

    def describe(self) -> dict[str, Scalar]:
        return {"width": self.width, "height": self.height, "channels": self.channels, "bits": self.array.itemsize * 8}

    def pil(self, mode: str = "RGB") -> PIL.Image.Image:
        """The picture as a PIL image of that mode; 16 bits are scaled to 8, alpha is laid on white for RGB and L."""
        from mmagent.intake import image

        return image.to_pil(self.array, mode)

    def rgb(self) -> Array:
        """The picture as uint8 RGB `[H, W, 3]`; the array itself where it is that."""
        import numpy as np

        if self.channels == 3 and self.array.itemsize == 1:
            return self.array
        return np.asarray(self.pil("RGB"))

    def preview(self) -> Image:
        return self

    def encode(self, suffix: str | None = None) -> bytes:
        from mmagent.intake import image

        return image.encode(self.array, suffix or self.suffix)

    @classmethod
    def decode(cls, data: bytes, name: str = "", limits: Limits | None = None) -> Self:
        from mmagent.intake import image

        return cls(image.decode(data, name, limits), limits=limits)


class Audio(Media, modality="audio", suffix=".wav", mime="audio/wav"):
    """Sound: float32 samples `[T, C]` at `rate` Hz, full scale being [-1, 1]; a little more is kept as it is.

    Made from a path, bytes, data URI, or an array (`[T]` or `[T, C]`, float or int16) with `rate=`.
    """

    __slots__ = ()

    suffixes = {".wav": True, ".flac": False, ".ogg": False, ".mp3": False}

    def __init__(self, source: object, rate: int | None = None, *, limits: Limits | None = None) -> None:
        from mmagent.intake import audio

        samples, found = audio.samples(source, rate, limits)
        super().__init__({"samples": samples}, {"rate": found})

    @property
    def array(self) -> Array:
        """The samples `[T, C]`, read-only."""
        return self._arrays["samples"]

    @property
    def rate(self) -> int:
        """Samples a second."""
        return int(self._meta["rate"] or 0)

    @property
    def channels(self) -> int:
        return int(self.array.shape[1])

    @property
    def seconds(self) -> float:
        return float(self.array.shape[0] / self.rate)

    def mono(self) -> Array:
        """The mean of the channels, float32 `[T]`."""
        return self.array[:, 0] if self.channels == 1 else self.array.mean(axis=1, dtype="float32")

    def describe(self) -> dict[str, Scalar]:
        return {"rate": self.rate, "channels": self.channels, "seconds": round(self.seconds, 3)}

    def encode(self, suffix: str | None = None) -> bytes:
        from mmagent.intake import audio

        return audio.encode(self.array, self.rate, suffix or self.suffix)

    @classmethod
    def decode(cls, data: bytes, name: str = "", limits: Limits | None = None) -> Self:
        from mmagent.intake import audio

        samples, rate = audio.decode(data, name, limits)
        return cls(samples, rate, limits=limits)


class Speech(Audio, modality="speech", refines="audio"):
    """Sound that is somebody speaking: fits every audio port; an Audio never fits a speech port."""

    __slots__ = ()


class Video(Media, modality="video", suffix=".mkv", mime="video/x-matroska"):
    """Moving pictures: uint8 RGB frames `[N, H, W, 3]` at `fps`, with a sound track or none.

    Made from a path, bytes, data URI, or an array of frames with `fps=`.
    """

    __slots__ = ("audio",)

    suffixes = {".mkv": True, ".mp4": False, ".gif": False, ".webm": False}
    audio: Audio | None

    def __init__(
        self, source: object, fps: float | None = None, *, audio: Audio | None = None, limits: Limits | None = None
    ) -> None:
        from mmagent.intake import video

        frames, found, sound = video.frames(source, fps, limits)
        if audio is None and sound is not None:
            audio = Audio(*sound)
        super().__init__({"frames": frames}, {"fps": found, "audio": audio.digest if audio else None})
        _put(self, "audio", audio)

    @property
    def array(self) -> Array:
        """The frames `[N, H, W, 3]`, read-only."""
        return self._arrays["frames"]

    @property
    def fps(self) -> float:
        """Frames a second."""
        return float(self._meta["fps"] or 0)

    @property
    def seconds(self) -> float:
        return float(len(self.array) / self.fps)

    @property
    def nbytes(self) -> int:
        return super().nbytes + (self.audio.nbytes if self.audio else 0)

    def describe(self) -> dict[str, Scalar]:
        frames, height, width = self.array.shape[:3]
        return {
            "frames": int(frames), "width": int(width), "height": int(height), "fps": self.fps,
            "seconds": round(self.seconds, 3), "sound": self.audio is not None,
        }  # fmt: skip

    def preview(self) -> Image:
        """The middle frame."""
        return Image(self.array[len(self.array) // 2])

    def encode(self, suffix: str | None = None) -> bytes:
        from mmagent.intake import video

        sound = (self.audio.array, self.audio.rate) if self.audio else None
        return video.encode(self.array, self.fps, sound, suffix or self.suffix)

    @classmethod
    def decode(cls, data: bytes, name: str = "", limits: Limits | None = None) -> Self:
        from mmagent.intake import video

        frames, fps, sound = video.decode(data, name, limits)
        return cls(frames, fps, audio=Audio(*sound) if sound else None, limits=limits)


class Points(Media, modality="points", suffix=".npy", mime="application/x-npy"):
    """A point cloud: float32 `[N, 3 + K]`, x y z and K further features a point."""

    __slots__ = ()

    suffixes = {".npy": True, ".ply": True, ".xyz": True}

    def __init__(self, source: object, *, limits: Limits | None = None) -> None:
        from mmagent.intake import points

        super().__init__({"points": points.points(source, limits)})

    @property
    def array(self) -> Array:
        """The points `[N, 3 + K]`, read-only."""
        return self._arrays["points"]

    def describe(self) -> dict[str, Scalar]:
        return {"points": int(self.array.shape[0]), "features": int(self.array.shape[1])}

    def preview(self) -> Image:
        """The cloud from above at a slant."""
        from mmagent.intake import points

        return Image(points.picture(self.array))

    def encode(self, suffix: str | None = None) -> bytes:
        from mmagent.intake import points

        return points.encode(self.array, suffix or self.suffix)

    @classmethod
    def decode(cls, data: bytes, name: str = "", limits: Limits | None = None) -> Self:
        from mmagent.intake import points

        return cls(points.decode(data, name, limits), limits=limits)


class Embedding(Media, modality="embedding", suffix=".npz", mime="application/x-npz"):
    """States in a named space: float32 `[L, D]` with a mask `[L]` (True where a state counts).

    Equal sizes never make two spaces fit. One made by a tool carries the recipe key of the call as its digest,
    so that it need not be hashed; `digest=` sets it.
    """

    __slots__ = ()

    def __init__(self, states: object, space: str, mask: object | None = None, *, digest: str = "") -> None:
        import numpy as np

        if not (isinstance(space, str) and space.isprintable() and 0 < len(space) <= 200):
            raise MediaError(f"the space of an Embedding is a short name like 'sd15.text', not {space!r:.80}")
        try:
            values = np.asarray(states, dtype="float32")
        except (TypeError, ValueError):
            raise MediaError(f"states of {type(states).__name__} are no float array; give numbers [L, D]") from None
        if values.ndim != 2:
            raise MediaError(f"an Embedding is [L, D]; got shape {values.shape}")
        kept = np.ones(len(values), dtype=bool) if mask is None else np.asarray(mask, dtype=bool)
        if kept.shape != (len(values),):
            raise MediaError(f"the mask of {len(values)} states is [{len(values)}]; got shape {kept.shape}")
        super().__init__({"states": values, "mask": kept}, {"space": space})
        _put(self, "_digest", digest)

    @property
    def array(self) -> Array:
        """The states `[L, D]`, read-only."""
        return self._arrays["states"]

    @property
    def mask(self) -> Array:
        """Which states count, bool `[L]`."""
        return self._arrays["mask"]

    @property
    def space(self) -> str:
        """The space the states live in, like `sd15.text`."""
        return str(self._meta["space"])

    def describe(self) -> dict[str, Scalar]:
        return {"tokens": int(self.array.shape[0]), "width": int(self.array.shape[1]), "space": self.space}

    def encode(self, suffix: str | None = None) -> bytes:
        from mmagent.intake import embedding

        return embedding.encode(self.array, self.mask, self.space)

    @classmethod
    def decode(cls, data: bytes, name: str = "", limits: Limits | None = None) -> Self:
        from mmagent.intake import embedding

        states, mask, space = embedding.decode(data, name, limits)
        return cls(states, space, mask)
