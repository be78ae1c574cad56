"""How much a file may turn into. Every check happens on numbers read from headers, before anything is allocated."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mmagent.errors import IntakeError

_UNITS = {
    "file_bytes": "bytes",
    "decoded_bytes": "decoded bytes",
    "pixels": "pixels",
    "frames": "frames",
    "audio_seconds": "seconds of sound",
    "video_seconds": "seconds of video",
    "points": "points",
    "characters": "characters",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that one file may hold; a file over any of them is refused.

    `file_bytes` counts the file itself, `decoded_bytes` the arrays it becomes, `pixels` one picture or frame.
    """

    file_bytes: int = 256 * 2**20
    decoded_bytes: int = 2 * 2**30
    pixels: int = 100_000_000
    frames: int = 36_000
    audio_seconds: float = 4 * 3600.0
    video_seconds: float = 600.0
    points: int = 50_000_000
    characters: int = 50_000_000

    def check(self, field: str, value: float, name: str) -> None:
        """Raise IntakeError if `value`, read from the file called `name`, is over the limit `field`."""
        limit = getattr(self, field)
        if not value <= limit:  # so that a NaN is refused too
            raise IntakeError(
                f"{name}: {value:,} {_UNITS[field]}, the limit is {limit:,}; "
                f"make it smaller, or allow it with limits=Limits({field}=...)"
            )

    def less(self, decoded: int) -> Limits:
        """What is left for the next file of a call after one that became `decoded` bytes."""
        return replace(self, decoded_bytes=self.decoded_bytes - decoded)


DEFAULT = Limits()
