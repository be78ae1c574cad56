"""Moving pictures from files: clocks, turns, limits, and the formats that lose something."""

from __future__ import annotations

import io
import struct
import sys
from fractions import Fraction
from typing import Any

import av
import numpy as np
import PIL.Image
import pytest

from mmagent.errors import IntakeError, MediaError, MissingExtra
from mmagent.intake import Limits
from mmagent.intake.pace import even
from mmagent.media import Audio, Image, Media, Video

TONE = Audio((0.5 * np.sin(np.arange(16_000) * 0.1)).astype("float32"), 16_000)


def flat(colours: int, height: int = 16, width: int = 24) -> Any:
    """Frames of one colour each, which survive any codec."""
    ramp = np.linspace(0, 240, colours).astype("uint8")
    return np.broadcast_to(ramp[:, None, None, None], (colours, height, width, 3)).copy()


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
@pytest.mark.parametrize("fps", [25.0, 30000 / 1001, 7.5])
def test_lossy_files_keep_count_rate_size_and_sound(suffix: str, fps: float) -> None:
    video = Video(flat(10), fps=fps, audio=TONE)
    found = Media.open(video.encode(suffix))
    assert isinstance(found, Video) and found.array.shape == video.array.shape
    assert found.fps == pytest.approx(fps, rel=1e-4)
    assert np.abs(found.array.astype(int) - video.array).max() < 8
    assert found.audio is not None and found.audio.seconds == pytest.approx(1.0, abs=0.1)
    assert np.abs(found.audio.array).max() == pytest.approx(0.5, abs=0.1)


def test_odd_sizes_are_padded_for_h264_alone() -> None:
    video = Video(flat(3, 15, 23), fps=10)
    assert Video(video.encode(".mp4")).array.shape == (3, 16, 24, 3)
    assert Video(video.encode(".webm")).array.shape == (3, 15, 23, 3)


def test_rates_that_a_codec_lacks_are_resampled() -> None:
    audio = Audio(np.zeros((1234, 1), "float32"), 12_345)
    for suffix in (".mp4", ".webm"):
        found = Video(Video(flat(2), fps=10, audio=audio).encode(suffix))
        assert found.audio is not None and found.audio.rate == 48_000


def test_a_gif_is_a_video() -> None:
    video = Video(flat(6), fps=20)
    found = Media.open(video.encode(".gif"))
    assert isinstance(found, Video) and found.fps == 20
    assert np.array_equal(found.array, video.array)
    with pytest.raises(MediaError, match="no sound"):
        Video(flat(6), fps=20, audio=TONE).encode(".gif")


def test_a_gif_that_holds_a_frame_longer_shows_it_longer() -> None:
    video = Video(flat(3)[[0, 1, 1, 1, 2]], fps=10)
    found = Video(video.encode(".gif"))
    assert found == video


@pytest.mark.parametrize("kind", ["WEBP", "PNG"])
def test_animated_pictures_are_videos(kind: str) -> None:
    frames = [PIL.Image.fromarray(frame) for frame in flat(4)]
    out = io.BytesIO()
    options: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {}
    frames[0].save(out, kind, save_all=True, append_images=frames[1:], duration=50, **options)
    found = Media.open(out.getvalue())
    assert isinstance(found, Video) and found.fps == 20 and np.array_equal(found.array, flat(4))


def test_a_still_gif_is_an_image_unless_asked_otherwise() -> None:
    data = Video(flat(1), fps=10).encode(".gif")
    assert type(Media.open(data)) is Image
    assert len(Video(data).array) == 1


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "AVIF"])
def test_a_still_picture_is_no_video(kind: str) -> None:
    out = io.BytesIO()
    PIL.Image.fromarray(flat(1)[0]).save(out, kind)
    with pytest.raises(IntakeError, match="the bytes given: a still picture; open it with Image"):
        Video(out.getvalue())
    picture = Image(out.getvalue())
    assert len(Video(picture.array[None], fps=1).array) == 1


def written(times: list[int], offset: int = 0) -> bytes:
    """A Matroska file of another writer, whose frames begin at these milliseconds; its sound `offset` later."""
    out = io.BytesIO()
    with av.open(out, "w", format="matroska") as file:
        pictures = file.add_stream("ffv1", rate=25)
        pictures.width, pictures.height, pictures.pix_fmt = 24, 16, "bgr0"
        sound = file.add_stream("pcm_f32le", rate=16_000, layout="mono")
        for time, array in zip(times, flat(len(times))):
            frame = av.VideoFrame.from_ndarray(array, "rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            file.mux(pictures.encode(frame))
        file.mux(pictures.encode(None))
        wave = av.AudioFrame.from_ndarray(TONE.array.reshape(1, -1), "flt", "mono")
        wave.sample_rate, wave.pts, wave.time_base = 16_000, offset * 16, Fraction(1, 16_000)
        file.mux(sound.encode(wave))
        file.mux(sound.encode(None))
    return out.getvalue()


def test_frames_of_an_uneven_file_are_held_for_as_long_as_they_last() -> None:
    found = Video(written([0, 40, 80, 400, 440]))
    assert found.fps == 25
    assert np.array_equal(found.array[:, 0, 0, 0], flat(5)[[0, 1, *[2] * 8, 3, 4], 0, 0, 0])


@pytest.mark.parametrize("offset", [0, 100])
def test_sound_that_begins_later_stays_later(offset: int) -> None:
    found = Video(written([0, 40, 80], offset))
    assert found.audio is not None
    silence = offset * 16
    assert not found.audio.array[:silence].any()
    assert np.array_equal(found.audio.array[silence:], TONE.array)


def test_an_even_clock_takes_each_frame_once_and_an_uneven_one_none_from_nowhere() -> None:
    thirds = [0.0, 0.033, 0.067, 0.1]
    assert even(thirds, None, 1, "", Limits()) == (30.0, [0, 1, 2])
    assert even([0.0, 0.0], None, 1, "", Limits()) == (25.0, [0])
    rate, order = even([0.0, 0.001, 5.0, 5.1], None, 1, "", Limits())
    assert rate == 60 and order == sorted(order) and (order[0], order[-1], len(order)) == (1, 2, 306)
    with pytest.raises(IntakeError, match="seconds of video"):
        even([0.0, 0.01, 1e9], None, 1, "forged", Limits())


@pytest.mark.parametrize(("degrees", "turns"), [(90, 3), (180, 2), (270, 1)])
def test_a_film_from_a_telephone_is_turned_upright(degrees: int, turns: int) -> None:
    """Players turn the stored picture clockwise by the angle in the track header's matrix."""
    frame = np.zeros((1, 16, 24, 3), "uint8")
    frame[0, :8, :12] = 255  # the top left quarter
    data = bytearray(Video(frame, fps=10).encode(".mp4"))
    cosine, sine = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    at = data.index(b"tkhd") + 4 + 40
    plain = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)
    assert data[at : at + 36] == plain
    turned = (cosine * 65536, sine * 65536, 0, -sine * 65536, cosine * 65536, 0, 0, 0, 1 << 30)
    data[at : at + 36] = struct.pack(">9i", *turned)
    found = Video(bytes(data)).array[0]
    expected = np.rot90(frame[0], turns)
    assert found.shape == expected.shape and np.abs(found.astype(int) - expected).mean() < 10


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".webm", ".gif"])
@pytest.mark.parametrize(
    ("limits", "what"),
    [
        (
            Limits(pixels=300),
            r"pixels, the limit is 300; .*Limits\(pixels=|pixels than the limit of 300; .*Limits\(pixels=",
        ),
        (Limits(frames=5), "frames, the limit is 5"),
        (Limits(decoded_bytes=5000), "decoded bytes, the limit is 5,000"),
        (Limits(video_seconds=0.5), r"seconds of video, the limit is 0\.5"),
        (Limits(file_bytes=100), "bytes, the limit is 100"),
    ],
    ids=["pixels", "frames", "decoded", "seconds", "file"],
)
def test_every_limit_holds_for_every_format(suffix: str, limits: Limits, what: str) -> None:
    data = Video(flat(10), fps=10).encode(suffix)
    with pytest.raises(IntakeError, match=what):
        Video(data, limits=limits)


def test_the_sound_of_a_film_is_limited_too() -> None:
    data = Video(flat(10), fps=10, audio=TONE).encode()
    with pytest.raises(IntakeError, match="seconds of sound"):
        Video(data, limits=Limits(audio_seconds=0.9))


@pytest.mark.parametrize(
    "data",
    [
        b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"",
        b"\x1aE\xdf\xa3 nothing else",
        b"GIF89a",
        b"\0\0\0\x18ftypisom nothing else",
    ],
)
def test_what_is_no_video_or_a_list_of_other_files_is_refused(data: bytes) -> None:
    with pytest.raises(IntakeError):
        Video(data)


def test_sound_alone_is_no_video() -> None:
    out = io.BytesIO()
    with av.open(out, "w", format="matroska") as file:
        stream = file.add_stream("pcm_f32le", rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(TONE.array.reshape(1, -1), "flt", "mono")
        frame.sample_rate = 16_000
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    with pytest.raises(IntakeError, match="no pictures; open it with Audio"):
        Video(out.getvalue())
    assert Media.open(out.getvalue()) == TONE


def test_the_rate_of_a_file_is_its_own() -> None:
    data = Video(flat(2), fps=10).encode()
    assert Video(data, fps=10) == Video(data)
    with pytest.raises(MediaError, match="has 10 frames a second, not 12"):
        Video(data, fps=12)


def test_without_pyav_the_message_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    video = Video(flat(2), fps=10)
    data = video.encode()
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingExtra, match=r"mmagent\[video\]"):
        Video(data)
    with pytest.raises(MissingExtra, match=r"writing \.mkv"):
        video.encode()
    assert Video(video.encode(".gif")) == video  # pictures that move need none


def test_a_video_with_more_channels_than_a_codec_has_says_so() -> None:
    video = Video(flat(2), fps=10, audio=Audio(np.zeros((10, 20), "float32"), 16_000))
    with pytest.raises(MediaError, match=r"\.mp4 cannot hold 24x16 at 10 fps with 20 channels"):
        video.encode(".mp4")


@pytest.mark.parametrize("size", [(1, 1), (301, 7), (300, 451), (3, 2000), (720, 1280)])
def test_a_video_of_any_size_is_kept_exactly(size: tuple[int, int]) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, *size, 3), "uint8")
    video = Video(frames, fps=8)
    assert Video(video.encode(".mkv")) == video


def test_a_gif_whose_frame_reaches_beyond_its_canvas_is_refused_by_its_blocks() -> None:
    """Pillow would grow the picture to that size, after its first size had been checked."""
    data = bytearray(Video(flat(3), fps=10).encode(".gif"))
    at = data.rindex(struct.pack("<BHHHH", 0x2C, 0, 0, 24, 16))
    data[at + 5 : at + 9] = struct.pack("<HH", 12_000, 12_000)
    for door in (Video, Image, Media.open):
        with pytest.raises(IntakeError, match="144,000,000 pixels, the limit is 100,000,000"):
            door(bytes(data))
    data[at + 5 : at + 9] = struct.pack("<HH", 2_000, 2_000)
    with pytest.raises(IntakeError, match="4,000,000 pixels, the limit is 1,000,000"):
        Video(bytes(data), limits=Limits(pixels=1_000_000))


def test_a_size_that_ffmpeg_refuses_to_allocate_is_damage() -> None:
    """PyAV calls it MemoryError, though nothing was allocated."""

    class Refusing(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise av.error.MemoryError(12, "Cannot allocate memory")

    whole = Video(flat(3), fps=10).encode(".mp4")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mmagent.intake.container.io.BytesIO", Refusing)
        with pytest.raises(IntakeError, match="damaged or truncated"):
            Video(whole)
