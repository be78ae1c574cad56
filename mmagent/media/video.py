"""Moving pictures, with or without sound, as media."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, SupportsFloat

from mmagent.media.audio import Audio
from mmagent.media.image import Image
from mmagent.media.value import Media, Scalar

if TYPE_CHECKING:
    import numpy as np

    from mmagent.intake import Limits

    Array = np.ndarray[Any, np.dtype[Any]]


class Video(Media, modality="video", suffix=".mkv", mime="video/x-matroska"):
    """Moving pictures: uint8 RGB frames `[N, H, W, 3]` at `fps`, with a sound track or none.

    Made from a path, bytes, data URI, or an array of frames with `fps=`.
    """

    __slots__ = ("audio",)

    suffixes = {".mkv": True, ".mp4": False, ".gif": False, ".webm": False}
    audio: Audio | None

    def __init__(
        self,
        source: object,
        fps: SupportsFloat | None = None,
        *,
        audio: Audio | None = None,
        limits: Limits | None = None,
    ) -> None:
        from mmagent.intake import video

        frames, found, sound = video.frames(source, fps, limits)
        if audio is None and sound is not None:
            audio = Audio(*sound)
        super().__init__({"frames": frames}, {"fps": found, "audio": audio.digest if audio else None})
        object.__setattr__(self, "audio", audio)

    @property
    def array(self) -> Array:
        """The frames `[N, H, W, 3]`, read-only."""
        return self.view("frames")

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
