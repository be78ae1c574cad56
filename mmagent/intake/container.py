"""Video containers (Matroska, WebM, MP4, MOV, AVI) read by PyAV: frames with their times, and the sound."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mmagent.errors import IntakeError, MissingExtra
from mmagent.intake.limits import Limits

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

FPS_TAG = "MMAGENT_FPS"
"""Our own Matroska files state their rate exactly here: the container itself counts nanoseconds."""


@dataclass
class Film:
    """What was read: packed RGB frames, their (height, width), when each begins (and the last ends), rate, sound."""

    frames: list[bytes] = field(default_factory=list)
    size: tuple[int, int] = (0, 0)
    times: list[float] = field(default_factory=list)
    stated: float | None = None
    sound: list[bytes] = field(default_factory=list)
    sound_start: float | None = None
    sound_samples: int = 0
    rate: int = 0
    channels: int = 0


def library(wanted_by: str) -> Any:
    """PyAV, or MissingExtra."""
    try:
        import av
    except ImportError:
        raise MissingExtra("av", "video", wanted_by) from None
    return av


def _format(data: bytes) -> str | None:
    """The demuxer to use. It is never left to FFmpeg to guess: some formats are lists of other files to open."""
    if data.startswith(b"\x1aE\xdf\xa3"):
        return "matroska"
    if data[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
        return "mov"
    return "avi" if data[:4] == b"RIFF" and data[8:12] == b"AVI " else None


def read_film(data: bytes, name: str, limits: Limits) -> Film:
    """All frames and the first sound track of a video file."""
    return _read(data, name, limits, pictures=True)


def read_sound(data: bytes, name: str, limits: Limits) -> tuple[Array, int]:
    """The samples `[T, C]` and rate of the first sound track."""
    found = sound(_read(data, name, limits, pictures=False), name, limits)
    if found is None:
        raise IntakeError(f"{name}: holds no sound; open it with Video")
    return found


def sound(film: Film, name: str, limits: Limits) -> tuple[Array, int] | None:
    """The sound `[T, C]` of a film and its rate, moved so that it begins with the first frame."""
    import numpy as np

    if not film.channels:
        return None
    array = np.frombuffer(b"".join(film.sound), "float32").reshape(-1, film.channels)
    if film.times and film.sound_start is not None:
        late = round((film.sound_start - film.times[0]) * film.rate)
        limits.check("audio_seconds", (abs(late) + len(array)) / film.rate, name)
        limits.check("decoded_bytes", (max(late, 0) * film.channels * 4) + array.nbytes, name)
        if late < 0:
            array = array[-late:]
        elif late > 0:
            array = np.concatenate([np.zeros((late, film.channels), "float32"), array])
    return array, film.rate


def _read(data: bytes, name: str, limits: Limits, pictures: bool) -> Film:
    av = library(f"reading {name}")
    kind = _format(data)
    if kind is None:
        raise IntakeError(f"{name}: not a video in a format that is read here; convert it to MP4, WebM, MKV or GIF")
    limits.check("file_bytes", len(data), name)
    # FFmpeg decodes a little while it looks at a file: it is told the limit before it does.
    guard = {"max_pixels": str(int(limits.pixels))}
    film = Film()
    try:
        with av.open(io.BytesIO(data), format=kind, options=guard, metadata_errors="replace") as file:
            streams = [*file.streams.video[: int(pictures)], *file.streams.audio[:1]]
            if pictures and not file.streams.video:
                raise IntakeError(f"{name}: holds no pictures; open it with Audio")
            for stream in streams:
                _check_header(file, stream, name, limits, film)
                if stream.type == "video":
                    stream.codec_context.options = guard
            resampler = av.AudioResampler(format="flt")
            for frame in file.decode(*streams) if streams else ():
                if isinstance(frame, av.VideoFrame):
                    _add_picture(film, frame, name, limits)
                else:
                    _add_sound(film, frame, resampler, name, limits)
            for rest in resampler.resample(None) if film.sound else ():
                _keep_sound(film, rest, name, limits)
    except IntakeError:
        raise
    # MemoryError is among them: so FFmpeg calls sizes that it refuses to allocate.
    except Exception as error:  # PyAV raises ValueError and others beside its own errors on damaged files
        raise IntakeError(f"{name}: the file is damaged or truncated, or its codec is unknown; convert it") from error
    if pictures and not film.frames:
        raise IntakeError(f"{name}: not one frame could be decoded; convert it to MP4")
    return film


def _check_header(file: Any, stream: Any, name: str, limits: Limits, film: Film) -> None:
    """Hold what the container promises against the limits, before a frame is decoded."""
    seconds = (file.duration or 0) / 1_000_000
    if stream.type == "audio":
        film.rate, film.channels = int(stream.codec_context.sample_rate), int(stream.codec_context.channels)
        if not 1_000 <= film.rate <= 768_000 or not 1 <= film.channels <= 64:
            raise IntakeError(f"{name}: claims {film.channels} channels at {film.rate:,} Hz; convert it")
        limits.check("audio_seconds", seconds, name)
        return
    width, height = int(stream.codec_context.width), int(stream.codec_context.height)
    if width * height == 0:  # FFmpeg forgets a size that is over the limit it was told
        raise IntakeError(
            f"{name}: claims no size, or more pixels than the limit of {limits.pixels:,}; "
            "make it smaller, or allow it with limits=Limits(pixels=...)"
        )
    film.stated = _stated(file, stream)
    count = stream.frames or int(seconds * (film.stated or 0))
    limits.check("pixels", width * height, name)
    limits.check("video_seconds", seconds, name)
    limits.check("frames", count, name)
    limits.check("decoded_bytes", count * width * height * 3, name)


def _stated(file: Any, stream: Any) -> float | None:
    rate = float(stream.average_rate) if stream.average_rate else None
    try:
        exact = float(file.metadata.get(FPS_TAG, ""))
    except ValueError:
        return rate
    # A file that somebody has edited may keep our tag and have another rate.
    return exact if rate is None or abs(exact - rate) <= rate / 100 else rate


def _add_picture(film: Film, frame: Any, name: str, limits: Limits) -> None:
    import numpy as np

    limits.check("pixels", frame.width * frame.height, name)
    limits.check("frames", len(film.frames) + 1, name)
    limits.check("decoded_bytes", (len(film.frames) + 1) * frame.width * frame.height * 3, name)
    picture = frame.to_ndarray(format="rgb24")  # [H, W, 3]
    turns = round(frame.rotation / 90) % 4
    if turns:
        picture = np.rot90(picture, turns)
    size = picture.shape[0], picture.shape[1]
    if film.frames and size != film.size:
        raise IntakeError(f"{name}: its frames change size on the way; convert it to one size")
    film.size = size
    start = float(frame.time) if frame.time is not None else len(film.frames) / (film.stated or 25.0)
    if film.times:
        film.times.pop()  # the guessed end of the frame before
    start = max(start, film.times[-1]) if film.times else start
    gap = float(frame.duration * frame.time_base) if frame.duration and frame.time_base else 0.0
    film.frames.append(picture.tobytes())
    film.times += [start, start + (gap or 1 / (film.stated or 25.0))]


def _add_sound(film: Film, frame: Any, resampler: Any, name: str, limits: Limits) -> None:
    if film.sound_start is None and frame.time is not None:
        film.sound_start = float(frame.time)
    if frame.sample_rate != film.rate or frame.layout.nb_channels != film.channels:
        raise IntakeError(f"{name}: its sound changes format on the way; convert it to one format")
    for part in resampler.resample(frame):
        _keep_sound(film, part, name, limits)


def _keep_sound(film: Film, frame: Any, name: str, limits: Limits) -> None:
    film.sound_samples += frame.samples
    limits.check("audio_seconds", film.sound_samples / film.rate, name)
    limits.check("decoded_bytes", film.sound_samples * film.channels * 4, name)
    film.sound.append(frame.to_ndarray().tobytes())
