"""Sound as a medium, and the speech that refines it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, SupportsIndex

from mmagent.media.value import Media, Scalar

if TYPE_CHECKING:
    import numpy as np

    from mmagent.intake import Limits

    Array = np.ndarray[Any, np.dtype[Any]]


class Audio(Media, modality="audio", suffix=".wav", mime="audio/wav"):
    """Sound: float32 samples `[T, C]` at `rate` Hz, full scale being [-1, 1]; a little more is kept as it is.

    Made from a path, bytes, data URI, or an array (`[T]` or `[T, C]`, float or int16) with `rate=`.
    """

    __slots__ = ()

    suffixes = {".wav": True, ".flac": False, ".ogg": False, ".mp3": False}

    def __init__(self, source: object, rate: SupportsIndex | None = None, *, limits: Limits | None = None) -> None:
        from mmagent.intake import audio

        samples, found = audio.samples(source, rate, limits)
        super().__init__({"samples": samples}, {"rate": found})

    @property
    def array(self) -> Array:
        """The samples `[T, C]`, read-only."""
        return self.view("samples")

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
