"""Video containers (Matroska, MP4, WebM) written by PyAV."""

from __future__ import annotations

import io
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from mmagent.intake import container
from mmagent.intake.audio import resample

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]
    Sound = tuple[Array, int]

CODECS: dict[str, tuple[str, str, str, str, dict[str, str]]] = {
    # FFV1 in bgr0 and float PCM are exact. Level 1 has no slices: those of level 3 follow the number of threads, so
    # that the same video would be other bytes elsewhere, and no one number of them fits small and large pictures.
    ".mkv": ("matroska", "ffv1", "bgr0", "pcm_f32le", {"level": "1", "threads": "1"}),
    ".mp4": ("mp4", "libx264", "yuv420p", "aac", {"crf": "18"}),
    ".webm": ("webm", "libvpx-vp9", "yuv420p", "libopus", {"crf": "24", "b": "0", "cpu-used": "4"}),
}
_RATES = {"aac": (8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000), "libopus": (48_000,)}
_OTHERWISE = 48_000


def write(array: Array, fps: float, sound: Sound | None, suffix: str, size: tuple[int, int]) -> bytes:
    """Frames `[N, H, W, 3]` (and sound) as a file, scaled to `size` (height, width)."""
    import numpy as np

    av = container.library(f"writing {suffix} files")
    kind, codec, pixel_format, sound_codec, options = CODECS[suffix]
    rate = Fraction(fps).limit_denominator(100_000)
    file = io.BytesIO()
    # Without "bitexact" the file would hold a random id and the time of writing.
    with av.open(file, "w", format=kind, options={"fflags": "+bitexact"}) as output:
        output.metadata[container.FPS_TAG] = repr(float(fps))
        pictures = output.add_stream(codec, rate=rate, options=options)
        pictures.height, pictures.width = size
        pictures.pix_fmt = pixel_format
        track = _Track(av, output, sound_codec, sound) if sound is not None else None
        for index, picture in enumerate(array):
            if track and index % max(round(fps), 1) == 0:
                track.write_second()  # a second of each in turn, as players like it
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")
            frame = frame.reformat(width=size[1], height=size[0], format=pixel_format)
            frame.pts, frame.time_base = index, 1 / rate
            output.mux(pictures.encode(frame))
        output.mux(pictures.encode(None))
        if track:
            track.close()
    return file.getvalue()


class _Track:
    """The sound on its way into a file; at a rate that the codec has, where it asks for certain ones."""

    def __init__(self, av: Any, output: Any, codec: str, sound: Sound) -> None:
        self.samples, self.rate = sound
        allowed = _RATES.get(codec)
        if allowed and self.rate not in allowed:
            self.samples, self.rate = resample(self.samples, self.rate, _OTHERWISE), _OTHERWISE
        self.av, self.output, self.done = av, output, 0
        self.layout = f"{self.samples.shape[1]}c"
        self.stream = output.add_stream(codec, rate=self.rate, layout=self.layout)

    def write_second(self) -> bool:
        """Write the next second; False when there is none left."""
        import numpy as np

        piece = self.samples[self.done : self.done + self.rate]  # [t, C]
        if not len(piece):
            return False
        packed = np.ascontiguousarray(piece).reshape(1, -1)
        frame = self.av.AudioFrame.from_ndarray(packed, "flt", self.layout)
        frame.sample_rate, frame.pts, frame.time_base = self.rate, self.done, Fraction(1, self.rate)
        self.output.mux(self.stream.encode(frame))
        self.done += len(piece)
        return True

    def close(self) -> None:
        while self.write_second():
            pass
        self.output.mux(self.stream.encode(None))
