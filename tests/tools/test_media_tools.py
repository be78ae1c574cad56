"""The small converters: exact sizes, rates and orders, and nothing changed that was not asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmagent import Audio, Image, Speech, Text, Video, load_tool
from mmagent.registry import registry

Load = Callable[[str], Any]

SHIPPED = (
    "crop.v1",
    "declare-speech.v1",
    "frames-video.v1",
    "image-features.v1",
    "image-tags.v1",
    "merge-texts.v1",
    "resample.v1",
    "resize.v1",
    "say.v1",
    "soundtrack.v1",
    "speech-detector.v1",
    "speech-recognition.v1",
    "video-frames.v1",
)


def tone(rate: int, seconds: float = 0.5, channels: int = 1, kind: type[Audio] = Audio) -> Audio:
    """A tone of 440 Hz, each further channel half as loud."""
    wave = 0.5 * np.sin(2 * np.pi * 440 * np.arange(round(rate * seconds)) / rate)
    return kind(np.stack([wave / 2**index for index in range(channels)], axis=1), rate)


def picture(width: int, height: int, channels: int = 3) -> Image:
    """A picture whose pixels are all different."""
    values = np.arange(width * height * channels) % 251
    return Image(values.reshape(height, width, channels).astype("uint8"))


def clip(n_frames: int, audio: Audio | None = None) -> Video:
    """A video whose frame n is all of the value n."""
    frames = np.broadcast_to(np.arange(n_frames, dtype="uint8")[:, None, None, None], (n_frames, 4, 6, 3))
    return Video(frames, fps=10.0, audio=audio)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_tool_is_listed_by_its_name_and_says_what_it_does(name: str) -> None:
    card = registry.card(name)
    assert card.name == name
    assert len(card.doc) > 20
    assert card.cost > 0
    weighty = any(need.startswith("weights:") for need in card.needs)
    assert bool(card.weights) >= weighty, "a tool with fetched weights names their digest"


# -- sound


@given(st.sampled_from([8000, 16000, 22050, 44100]), st.sampled_from([8000, 16000, 24000]), st.integers(1, 2))
def test_resampling_keeps_length_and_tone(rate: int, wanted: int, channels: int) -> None:
    sound = tone(rate, channels=channels)
    out = load_tool("resample.v1").run(sound, rate=wanted)  # type: ignore[attr-defined]  # an Instance
    assert (out.rate, out.channels) == (wanted, channels)
    assert abs(out.seconds - sound.seconds) <= 1 / wanted
    middle = out.array[len(out.array) // 4 : -len(out.array) // 4, 0]
    assert np.abs(np.fft.rfft(middle)).argmax() * wanted / len(middle) == pytest.approx(440, abs=8)
    assert np.abs(middle).max() == pytest.approx(0.5, abs=0.02)


def test_sound_may_be_resampled_silently_and_a_picture_not_resized(load: Load) -> None:
    assert not load("resample.v1").card.lossy
    assert load("resize.v1").card.lossy


def test_resampled_speech_stays_speech(load: Load) -> None:
    out = load("resample.v1").run(tone(24000, channels=2, kind=Speech), rate=16000, channels=1)
    assert type(out) is Speech
    assert (out.rate, out.channels) == (16000, 1)


def test_channels_become_their_mean_or_are_doubled(load: Load) -> None:
    stereo = tone(16000, channels=2)
    mono = load("resample.v1").run(stereo, rate=16000, channels=1)
    np.testing.assert_allclose(mono.array[:, 0], stereo.array.mean(axis=1), atol=1e-6)
    back = load("resample.v1").run(mono, rate=16000, channels=2)
    np.testing.assert_array_equal(back.array[:, 0], back.array[:, 1])


def test_sound_that_is_as_asked_for_comes_back_itself(load: Load) -> None:
    sound = tone(16000)
    assert load("resample.v1").run(sound, rate=16000, channels=1) is sound


def test_a_declaration_makes_speech_of_the_same_samples(load: Load) -> None:
    sound = tone(16000)
    speech = load("declare-speech.v1").run(sound)
    assert type(speech) is Speech
    np.testing.assert_array_equal(speech.array, sound.array)
    assert load("declare-speech.v1").run(speech) is speech
    assert load("declare-speech.v1").card.lossy, "a claim is never put in silently"


# -- pictures


@given(
    st.integers(1, 90), st.integers(1, 90), st.integers(1, 40), st.integers(1, 40),
    st.sampled_from(["contain", "cover", "stretch"]), st.sampled_from([1, 3, 4]),
)  # fmt: skip
def test_resizing_gives_exactly_the_size_asked_for(
    width: int, height: int, to_width: int, to_height: int, fit: str, channels: int
) -> None:
    resize: Any = load_tool("resize.v1")
    out = resize.run(picture(width, height, channels), width=to_width, height=to_height, fit=fit)
    assert (out.width, out.height, out.channels) == (to_width, to_height, channels)


def test_contain_keeps_all_cover_fills_all_stretch_distorts(load: Load) -> None:
    halves = np.zeros((20, 40, 3), "uint8")
    halves[:, 20:] = 200
    halves[:, :4] = 90
    image, resize = Image(halves), load("resize.v1").run
    contained = resize(image, width=20, height=20, fit="contain").array[..., 0]
    assert contained[:5].max() == contained[-5:].max() == 0
    assert 80 < contained[10, 0] < 100
    assert 190 < contained[10, -1] < 210
    covered = resize(image, width=20, height=20, fit="cover").array[..., 0]
    assert covered.min() < 10, "the edge of 90 is cut off"
    assert covered[:, -5:].min() > 190
    assert not (np.abs(covered.astype(int) - 90) < 10).any()
    stretched = resize(image, width=20, height=20, fit="stretch").array[..., 0]
    assert 80 < stretched[0, 0] < 100
    assert 190 < stretched[0, -1] < 210


def test_a_picture_of_the_right_size_comes_back_itself(load: Load) -> None:
    image = picture(8, 5)
    assert load("resize.v1").run(image, width=8, height=5) is image
    with pytest.raises(ValueError, match="at least 1 pixel"):
        load("resize.v1").run(image, width=0, height=5)


@given(st.integers(1, 60), st.integers(1, 60), st.tuples(*[st.floats(0, 1)] * 4))
def test_a_crop_is_a_part_of_the_picture(width: int, height: int, sides: tuple[float, float, float, float]) -> None:
    crop: Any = load_tool("crop.v1")
    image = picture(width, height)
    left, right = sorted(sides[:2])
    top, bottom = sorted(sides[2:])
    if left == right or top == bottom:
        with pytest.raises(ValueError, match="between 0 and 1"):
            crop.run(image, left=left, top=top, right=right, bottom=bottom)
        return
    out = crop.run(image, left=left, top=top, right=right, bottom=bottom)
    assert 1 <= out.width <= width
    assert 1 <= out.height <= height
    x, y = min(round(left * width), width - 1), min(round(top * height), height - 1)
    np.testing.assert_array_equal(out.array, image.array[y : y + out.height, x : x + out.width])


def test_all_of_a_picture_is_its_crop_by_default(load: Load) -> None:
    assert load("crop.v1").run(picture(7, 9)) == picture(7, 9)


# -- video


@given(st.integers(1, 40), st.integers(1, 12))
def test_frames_are_spread_evenly_and_in_order(n_frames: int, count: int) -> None:
    frames: Any = load_tool("video-frames.v1")
    taken = [int(image.array[0, 0, 0]) for image in frames.run(clip(n_frames), count=count)]
    assert len(taken) == min(count, n_frames)
    assert taken == sorted(set(taken))
    gaps = np.diff([-taken[0] - 1, *taken, 2 * n_frames - taken[-1]])
    assert gaps.max() - gaps.min() <= 2, "the ends are half a gap away"


def test_a_video_is_made_of_its_frames_again(load: Load) -> None:
    video = clip(6)
    frames = load("video-frames.v1").run(video, count=100)
    assert load("frames-video.v1").run(frames, fps=10.0) == video


def test_pictures_of_several_sizes_are_no_video(load: Load) -> None:
    with pytest.raises(ValueError, match=r"4 × 4, 5 × 4.*resize"):
        load("frames-video.v1").run([picture(4, 4), picture(5, 4)])
    with pytest.raises(ValueError, match="at least one picture"):
        load("frames-video.v1").run([])


def test_the_sound_track_is_the_videos_own_or_none(load: Load) -> None:
    sound = tone(16000)
    assert load("soundtrack.v1").run(clip(3, sound)) is sound
    assert load("soundtrack.v1").run(clip(3)) is None


# -- text


def test_texts_are_merged_in_order_without_repeats(load: Load) -> None:
    texts = [Text(" a cat "), Text("a dog"), Text(""), Text("A Cat"), Text("  ")]
    assert load("merge-texts.v1").run(texts).text == "a cat\na dog"
    assert load("merge-texts.v1").run([], separator=", ").text == ""


@given(st.lists(st.text(alphabet="ab Ä\n", max_size=4)))
def test_merging_what_is_merged_changes_nothing(lines: list[str]) -> None:
    merge: Any = load_tool("merge-texts.v1")
    once = merge.run([Text(line) for line in lines], separator="|")
    assert merge.run([Text(part) for part in once.text.split("|")], separator="|") == once
