"""Sound: files and arrays to float32 `[T, C]` with a rate, and back; rates change only in `resample`.

Read by soundfile: WAV, FLAC, OGG (Vorbis, Opus), MP3, AIFF, AU. M4A and WebM sound is read by PyAV.
"""

from __future__ import annotations

import io
import struct
from numbers import Integral
from typing import TYPE_CHECKING, Any, SupportsIndex

from mmagent.errors import IntakeError, MediaError
from mmagent.intake.limits import DEFAULT, Limits
from mmagent.intake.source import NAMELESS, read

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

RATES = (1_000, 768_000)
_BLOCK = 2**16
_LOUDEST = 16.0
"""Above it, samples are integers that nobody scaled; decoders of lossy formats overshoot 1 by far less."""


def samples(source: object, rate: SupportsIndex | None = None, limits: Limits | None = None) -> tuple[Array, int]:
    """The samples `[T, C]` and rate of a path, bytes, data URI, or array `[T]` or `[T, C]` with its rate.

    A file's rate comes from the file: giving another one raises MediaError.
    """
    import numpy as np

    if isinstance(source, np.ndarray) or hasattr(source, "__array__"):
        if rate is None:
            raise MediaError("an Audio made of an array needs its rate in Hz; give rate=...")
        own = _rate(rate)
        return _checked(np.asarray(source)), own
    found = read(source, limits=limits)
    array, own = decode(found.data, found.name, limits)
    if rate is not None and rate != own:
        raise MediaError(f"{found.name} has {own} Hz, not {rate}; leave rate= out and resample it afterwards")
    return array, own


def _rate(rate: object) -> int:
    # Whole numbers of numpy's are numbers too; a bool, which Python counts among them, is a mistake.
    if isinstance(rate, bool) or not isinstance(rate, Integral) or not RATES[0] <= int(rate) <= RATES[1]:
        raise MediaError(f"a rate is a whole number of Hz from {RATES[0]:,} to {RATES[1]:,}, not {rate!r}")
    return int(rate)


def _checked(array: Array) -> Array:
    import numpy as np

    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or not 1 <= array.shape[1] <= 64:
        raise MediaError(f"an Audio is [T] or [T, C] with at most 64 channels, not {array.shape}; transpose [C, T]")
    if array.dtype == "int16":
        return array.astype("float32") / np.float32(32768)
    if array.dtype.kind != "f":
        raise MediaError(f"an Audio is float in [-1, 1] or int16, not {array.dtype}; divide by its full scale first")
    array = np.asarray(array, "float32")
    # The two extremes tell of NaN and infinity too, without an array of booleans.
    loudest = float(max(array.max(), -array.min())) if array.size else 0.0
    if not np.isfinite(loudest):
        raise MediaError("samples are NaN or infinite; find where the sound was computed, or use numpy.nan_to_num")
    if loudest > _LOUDEST:
        raise MediaError(f"samples reach {loudest:,.0f}, but Audio is in [-1, 1]; divide by the full scale first")
    return array


def decode(data: bytes, name: str = "", limits: Limits | None = None) -> tuple[Array, int]:
    """The samples `[T, C]` and rate of a sound file; what its header promises is checked before it is decoded."""
    import numpy as np
    import soundfile

    name, bounds = name or NAMELESS, limits or DEFAULT
    bounds.check("file_bytes", len(data), name)
    if data.startswith(b"\x1aE\xdf\xa3") or data[4:8] == b"ftyp":
        from mmagent.intake import container

        array, rate = container.read_sound(data, name, bounds)
        return _from_file(array, rate, name), rate
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            rate, channels = int(file.samplerate), int(file.channels)
            _check_header(name, rate, channels, int(file.frames), bounds)
            blocks, total = [], 0
            while len(block := file.read(_BLOCK, dtype="float32", always_2d=True)):
                total += len(block)
                _check_header(name, rate, channels, total, bounds)
                blocks.append(block.tobytes())
    except soundfile.LibsndfileError as error:
        raise IntakeError(f"{name}: not a sound file, or a damaged one; convert it to WAV or FLAC") from error
    array = np.frombuffer(b"".join(blocks), "float32").reshape(total, channels)
    return _from_file(array, rate, name), rate


def _check_header(name: str, rate: int, channels: int, count: int, limits: Limits) -> None:
    if not RATES[0] <= rate <= RATES[1]:
        raise IntakeError(f"{name}: claims {rate:,} Hz; rates go from {RATES[0]:,} to {RATES[1]:,}, convert it")
    limits.check("audio_seconds", round(count / rate, 3), name)
    limits.check("decoded_bytes", count * channels * 4, name)


def _from_file(array: Array, rate: int, name: str) -> Array:
    try:
        return _checked(array)
    except MediaError as error:
        raise IntakeError(f"{name}: {error}") from None


def encode(array: Array, rate: int, suffix: str) -> bytes:
    """The sound as a file: `.wav` exactly (float32), `.flac` with 24 bits, `.ogg` and `.mp3` with loss."""
    import soundfile

    suffix = suffix.lower()
    if suffix == ".wav":
        return _wav(array, rate)
    formats = {".flac": ("FLAC", "PCM_24"), ".ogg": ("OGG", "VORBIS"), ".mp3": ("MP3", "MPEG_LAYER_III")}
    if suffix not in formats:
        raise MediaError(f"an Audio cannot be written as {suffix!r}; use .wav, .flac, .ogg or .mp3")
    file, (kind, subtype) = io.BytesIO(), formats[suffix]
    try:
        soundfile.write(file, array, rate, format=kind, subtype=subtype)
    except soundfile.LibsndfileError as error:
        raise MediaError(
            f"{kind} cannot hold {array.shape[1]} channels at {rate:,} Hz; resample it, or write .wav"
        ) from error
    return file.getvalue()


def _wav(array: Array, rate: int) -> bytes:
    """A float32 WAV. libsndfile would put the time of writing into it; the same sound should be the same bytes."""
    count, channels = array.shape
    size = count * channels * 4
    if size > 2**32 - 100:
        raise MediaError(f"a WAV file holds 4 GiB at most, not {size:,} bytes; write shorter pieces")
    kind = struct.pack("<HHIIHHH", 3, channels, rate, rate * channels * 4, channels * 4, 32, 0)
    head = b"WAVEfmt " + struct.pack("<I", len(kind)) + kind + b"fact" + struct.pack("<II", 4, count)
    head += b"data" + struct.pack("<I", size)
    return b"RIFF" + struct.pack("<I", len(head) + size) + head + array.astype("<f4").tobytes()


def resample(array: Array, rate: int, new_rate: int) -> Array:
    """The samples `[T, C]` at another rate, by soxr in high quality; float32 `[T * new_rate / rate, C]`."""
    import numpy as np
    import soxr

    rate, new_rate = _rate(rate), _rate(new_rate)
    if new_rate == rate:
        return array
    return np.asarray(soxr.resample(array, rate, new_rate), "float32")
