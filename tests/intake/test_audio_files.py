"""Sound from files: what headers claim, what decoders give, and rates."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest
import soundfile

from mmagent.errors import IntakeError, MediaError
from mmagent.intake import Limits
from mmagent.intake.audio import resample
from mmagent.media import Audio, Media, Speech, Video

TONE = (0.5 * np.sin(np.arange(8000) * 0.1)).astype("float32")


def file(samples: Any, rate: int = 8000, **options: str) -> bytes:
    out = io.BytesIO()
    soundfile.write(out, samples, rate, **{"format": "WAV", **options})
    return out.getvalue()


@pytest.mark.parametrize(
    ("kind", "subtype", "worst"),
    [("WAV", "PCM_16", 1e-4), ("WAV", "PCM_U8", 0.01), ("WAV", "DOUBLE", 0), ("FLAC", "PCM_16", 1e-4), ("AIFF", "PCM_24", 1e-6),
     ("OGG", "VORBIS", 0.05), ("MP3", "MPEG_LAYER_III", 0.5)],
)  # fmt: skip
def test_files_of_every_kind_are_read(kind: str, subtype: str, worst: float) -> None:
    found = Media.open(file(np.stack([TONE, -TONE], axis=1), format=kind, subtype=subtype))
    assert isinstance(found, Audio) and (found.rate, found.channels, found.array.dtype.name) == (8000, 2, "float32")
    assert np.abs(found.array[:8000, 0] - TONE).max() <= worst


def test_float_wav_is_exact_beyond_full_scale_too() -> None:
    loud = Audio(np.array([1.5, -2.0, 1e-30], "float32"), 44100)
    assert Audio(loud.encode()) == loud == Audio(file(loud.array, 44100, subtype="FLOAT"))


def test_our_wav_is_read_by_another_library() -> None:
    for channels in (1, 2, 6):
        array = np.random.default_rng(0).uniform(-1, 1, (50, channels)).astype("float32")
        found, rate = soundfile.read(io.BytesIO(Audio(array, 22050).encode()), dtype="float32", always_2d=True)
        assert rate == 22050 and np.array_equal(found, array)


def test_the_rate_of_a_file_is_its_own() -> None:
    data = file(TONE)
    assert Audio(data, 8000) == Audio(data)
    with pytest.raises(MediaError, match="has 8000 Hz, not 16000"):
        Audio(data, 16000)


def test_speech_is_opened_as_speech() -> None:
    speech = Speech(TONE, 8000)
    assert Speech.open(speech.encode()) == speech
    assert type(Media.open(speech.encode())) is Audio


def test_a_forged_count_allocates_nothing() -> None:
    data = bytearray(file(TONE, subtype="PCM_16"))
    at = data.index(b"data") + 4
    data[at : at + 4] = struct.pack("<I", 2**31)
    found = Audio(bytes(data))  # the decoder believes the file's length, not its header
    assert len(found.array) == 8000


def test_a_long_silence_in_a_small_file_is_refused_by_its_header() -> None:
    data = file(np.zeros(5_000_000, "int16"), 8000, format="FLAC")
    assert len(data) < 100_000
    with pytest.raises(IntakeError, match=r"20,000,000 decoded bytes, the limit is 1,000,000"):
        Audio(data, limits=Limits(decoded_bytes=1_000_000))
    with pytest.raises(IntakeError, match=r"625\.0 seconds of sound, the limit is 60"):
        Audio(data, limits=Limits(audio_seconds=60))


@pytest.mark.parametrize("rate", [1, 2**31 - 1])
def test_a_forged_rate_is_refused(rate: int) -> None:
    data = bytearray(file(TONE, subtype="PCM_16"))
    data[24:28] = struct.pack("<I", rate)
    with pytest.raises(IntakeError, match=r"rates go from 1,000 to 768,000|damaged"):
        Audio(bytes(data))


def test_samples_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(IntakeError, match="NaN or infinite"):
        Audio(file(np.array([0, np.nan], "float32"), subtype="FLOAT"))


@pytest.mark.parametrize("data", [b"", b"RIFF\x10\0\0\0WAVE", b"not a sound at all"])
def test_what_is_no_sound_is_refused(data: bytes) -> None:
    with pytest.raises(IntakeError, match="not a sound file"):
        Audio(data)


def test_the_sound_of_a_video_file_is_read() -> None:
    audio = Audio(TONE, 8000)
    video = Video(np.zeros((5, 4, 4, 3), "uint8"), fps=5, audio=audio)
    assert Audio(video.encode()) == audio
    with pytest.raises(IntakeError, match="holds no sound; open it with Video"):
        Audio(Video(video.array, fps=5).encode())


def test_resampling_keeps_the_tone_and_the_length_in_seconds() -> None:
    time = np.arange(48_000) / 48_000
    tone = np.sin(2 * np.pi * 440 * time).astype("float32")[:, None]
    found = resample(tone, 48_000, 16_000)
    assert found.shape == (16_000, 1) and found.dtype == "float32"
    assert np.abs(found[100:-100] - tone[::3][100:-100]).max() < 1e-3
    assert resample(tone, 48_000, 48_000) is tone
    assert resample(np.zeros((0, 2), "float32"), 48_000, 16_000).shape == (0, 2)
    with pytest.raises(MediaError, match="whole number of Hz"):
        resample(tone, 48_000, 1)


def test_mono_is_the_mean_of_the_channels() -> None:
    audio = Audio(np.array([[1.0, 0.0], [0.5, 0.5]], "float32"), 8000)
    assert audio.mono().tolist() == [0.5, 0.5]
    assert audio.seconds == 2 / 8000


def test_a_format_that_cannot_hold_it_says_so() -> None:
    with pytest.raises(MediaError, match=r"FLAC cannot hold 12 channels.*write \.wav"):
        Audio(np.zeros((10, 12), "float32"), 8000).encode(".flac")
    with pytest.raises(MediaError, match=r"use \.wav"):
        Audio(TONE, 8000).encode(".aiff")
