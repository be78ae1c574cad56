"""What holds for every medium: identity, immutability, round trips, modalities of one's own."""

from __future__ import annotations

import copy
import importlib
import math
import tracemalloc
import warnings
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mmagent.errors import MediaError
from mmagent.intake import Limits
from mmagent.media import (
    Audio,
    Embedding,
    Image,
    Media,
    Points,
    Speech,
    Text,
    Video,
    frozen,
)

pickle = importlib.import_module("pickle")  # spawned workers use it; the package itself may not


def sound(seconds: float = 0.1, rate: int = 8000, channels: int = 1) -> Audio:
    time = np.arange(int(seconds * rate))[:, None] / rate
    return Audio(np.sin(2 * np.pi * 440 * time).repeat(channels, axis=1).astype("float32"), rate)


def samples() -> list[Media]:
    return [
        Text("Grüße, 世界"),
        Text("hallo", lang="de"),
        Image(np.arange(60, dtype="uint8").reshape(4, 5, 3)),
        sound(),
        Speech(sound().array, 8000),
        Video(np.arange(96, dtype="uint8").reshape(2, 4, 4, 3), fps=12.5, audio=sound()),
        Points(np.arange(12.0).reshape(3, 4)),
        Embedding(np.ones((2, 3)), "test.space", mask=[True, False]),
    ]


@pytest.fixture(params=samples(), ids=lambda medium: type(medium).__name__)
def medium(request: pytest.FixtureRequest) -> Media:
    found: Media = request.param
    return found


# -- lossless round trips

small = st.integers(1, 6)
floats = st.floats(-1, 1, width=32)
shown = st.one_of(st.text(), st.text().map(lambda text: "\ufeff" + text), st.text(st.characters(max_codepoint=127)))


@given(shown)
def test_text_survives_its_file(text: str) -> None:
    assert Text.open(Text(text).encode()).text == text


@given(st.sampled_from(["uint8", "uint16"]), st.tuples(small, small, st.sampled_from([1, 3, 4])), st.data())
def test_image_survives_its_file(dtype: str, shape: tuple[int, ...], data: st.DataObject) -> None:
    image = Image(data.draw(hnp.arrays(dtype, shape)))
    assert Image.open(image.encode()) == image == Media.open(image.encode())


@given(hnp.arrays("float32", st.tuples(st.integers(0, 50), small), elements=floats), st.integers(1000, 768_000))
def test_audio_survives_its_file(array: Any, rate: int) -> None:
    audio = Audio(array, rate)
    assert Audio.open(audio.encode()) == audio


@settings(max_examples=40, deadline=None)
@given(
    hnp.arrays("uint8", st.tuples(small, small, small, st.just(3))),
    st.one_of(st.floats(0.01, 1000), st.sampled_from([24000 / 1001, 30000 / 1001, 25])),
    st.none() | hnp.arrays("float32", st.tuples(st.integers(0, 3000), st.integers(1, 8)), elements=floats),
    st.sampled_from([8000, 22050, 48000]),
)
def test_video_survives_its_file(frames: Any, fps: float, samples: Any, rate: int) -> None:
    video = Video(frames, fps=fps, audio=None if samples is None else Audio(samples, rate))
    again = Video.open(video.encode(), limits=Limits(video_seconds=1000))
    assert (again, again.audio) == (video, video.audio)


@given(
    hnp.arrays(
        "float32",
        st.tuples(small, st.integers(3, 6)),
        elements=st.floats(width=32, allow_nan=False, allow_infinity=False),
    ),
    st.sampled_from(sorted(Points.suffixes)),
)
def test_points_survive_each_of_their_files(array: Any, suffix: str) -> None:
    points = Points(array)
    assert Points.open(points.encode(suffix)) == points


@given(
    hnp.arrays("float32", st.tuples(st.integers(0, 5), st.integers(0, 5)), elements=floats),
    st.text(min_size=1, max_size=20).filter(str.isprintable),
    st.data(),
)
def test_embedding_survives_its_file(states: Any, space: str, data: st.DataObject) -> None:
    mask = data.draw(hnp.arrays(bool, len(states)))
    embedding = Embedding(states, space, mask)
    assert Embedding.open(embedding.encode()) == embedding


def test_saving_and_opening_by_path_gives_the_same_value(medium: Media, tmp_path: Path) -> None:
    path = medium.save(tmp_path / "value")
    assert path.suffix == medium.suffix
    again = type(medium).open(path)
    if medium.describe().get("lang"):  # a text file holds the text alone
        assert str(again) == str(medium)
    else:
        assert again == medium


def test_every_ending_that_is_called_lossless_is(medium: Media) -> None:
    for suffix in medium.suffixes:
        if medium.lossless(suffix) and not medium.describe().get("lang"):
            assert type(medium).decode(medium.encode(suffix)) == medium, suffix


def test_the_same_value_is_the_same_bytes(medium: Media) -> None:
    assert medium.encode() == medium.encode()


def test_an_ending_that_cannot_be_written_is_refused_with_those_that_can(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"\.png, \.webp"):
        Image(np.zeros((1, 1), "uint8")).save(tmp_path / "picture.wav")
    assert list(tmp_path.iterdir()) == []


# -- identity


def test_the_digest_depends_on_content_and_not_on_the_file(medium: Media) -> None:
    assert [other == medium for other in samples()].count(True) == 1
    assert len({other.digest for other in samples()}) == len(samples())


def test_a_picture_from_another_format_is_the_same_picture() -> None:
    import io

    import PIL.Image

    array = np.arange(48, dtype="uint8").reshape(4, 4, 3)
    file = io.BytesIO()
    PIL.Image.fromarray(array).save(file, "BMP")
    assert Image(file.getvalue()) == Image(array) == Image(PIL.Image.fromarray(array))


def test_digests_tell_apart_what_only_looks_alike() -> None:
    zeros = np.zeros(6, "uint8")
    assert Image(zeros.reshape(2, 3)) != Image(zeros.reshape(3, 2))
    assert Image(zeros.reshape(1, 6)) != Image(zeros.view("uint16").reshape(1, 3))
    assert sound() != Speech(sound().array, 8000)
    assert Audio(sound().array, 8000) != Audio(sound().array, 8001)
    assert Text("a") != Text("a", lang="en")
    assert Embedding(np.ones((1, 1)), "one") != Embedding(np.ones((1, 1)), "two")


def test_digests_are_stable_between_releases() -> None:
    """Caches outlive a release; whoever changes these changes every recipe key."""
    assert Text("hello").digest == "28399abebf3280eea35b3cf5f3f33e297c93ed5645a96561137fbe299b6cf074"
    assert Image(np.zeros((2, 2), "uint8")).digest == "f99e011eaf246e87cd5f5ecce3c4476c77387cc45479c7286024e20d426df249"


def test_byte_order_in_memory_does_not_matter() -> None:
    assert Points(np.ones((1, 3), ">f4")) == Points(np.ones((1, 3), "<f4"))


def test_media_work_as_keys(medium: Media) -> None:
    assert dict.fromkeys(samples(), 1)[medium] == 1
    assert medium != "a text" and medium != None  # noqa: E711  # the comparison itself is what is tested


def test_an_embedding_made_by_a_tool_carries_its_recipe() -> None:
    assert Embedding(np.ones((1, 1)), "test", digest="ab" * 32).digest == "ab" * 32


def test_copies_are_the_value_itself(medium: Media) -> None:
    assert copy.copy(medium) is medium
    assert copy.deepcopy([medium])[0] is medium


def test_another_process_gets_an_equal_value_as_frozen_as_this(medium: Media) -> None:
    again = pickle.loads(pickle.dumps(medium))
    assert type(again) is type(medium) and again == medium and again.describe() == medium.describe()
    assert_frozen(again)


def assert_frozen(medium: Media) -> None:
    for array in medium._arrays.values():
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
        with pytest.raises(ValueError, match="WRITEABLE"):
            array.setflags(write=True)
        with pytest.raises(ValueError, match="WRITEABLE"):
            np.asarray(array.reshape(-1).base).setflags(write=True)


# -- immutability


def test_nothing_about_a_value_can_be_changed(medium: Media) -> None:
    with pytest.raises(MediaError, match="immutable"):
        medium._digest = "0"
    with pytest.raises(MediaError, match="immutable"):
        medium.anything = 1
    with pytest.raises(MediaError, match="immutable"):
        del medium._meta
    assert_frozen(medium)


def test_reshaping_what_a_medium_hands_out_leaves_the_medium_as_it_was() -> None:
    """numpy lets anybody set the shape and the type of a read-only array, in place."""
    arrays: dict[str, tuple[Media, str]] = {
        "pixels": (Image(np.zeros((2, 2, 4), "uint8")), "array"),
        "samples": (sound(), "array"),
        "frames": (Video(np.zeros((1, 2, 2, 3), "uint8"), fps=1), "array"),
        "points": (Points(np.zeros((2, 4))), "array"),
        "states": (Embedding(np.zeros((2, 4)), "test"), "array"),
        "mask": (Embedding(np.zeros((2, 4)), "test"), "mask"),
    }
    for name, (medium, attribute) in arrays.items():
        before = medium.describe()
        for _ in range(2):
            reshape_in_place(getattr(medium, attribute))
        reshape_in_place(medium.view(name))
        assert medium.describe() == before and getattr(medium, attribute).dtype != "int8", name
        assert type(medium).open(medium.encode()) == medium, name


def reshape_in_place(array: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # later numpys warn, and still do it
        array.shape = (array.size,)
        array.dtype = "int8"


def test_an_array_that_was_frozen_before_is_shared_without_its_shape() -> None:
    given = frozen(np.zeros((2, 2, 3), "uint8"))
    image = Image(given)
    reshape_in_place(given)
    assert image.array.shape == (2, 2, 3) and np.shares_memory(given, image.array)


def test_changing_what_it_was_made_of_changes_nothing() -> None:
    array = np.zeros((2, 2, 3), "uint8")
    image = Image(array)
    array[:] = 9
    assert not image.array.any()
    facts = image.describe()
    facts["width"] = 99
    assert image.describe()["width"] == 2


def test_a_large_array_is_copied_once_and_a_frozen_one_not_at_all() -> None:
    array = np.zeros((4096, 4096, 3), "uint8")
    tracemalloc.start()
    image = Image(array)
    once = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    again = Image(image.array)
    never = tracemalloc.get_traced_memory()[1] - tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert array.nbytes <= once < 1.1 * array.nbytes
    assert never < 2**20
    assert np.shares_memory(again.array, image.array)


def test_read_only_views_of_writable_memory_are_copied() -> None:
    memory = bytearray(4)
    view = np.frombuffer(memoryview(memory).toreadonly(), "uint8")
    kept = frozen(view)
    memory[0] = 7
    assert kept[0] == 0


def test_what_numpy_unpickles_is_copied_for_it_is_writable() -> None:
    array = pickle.loads(pickle.dumps(np.zeros(1000, "float32"), 4))
    reading = array.view()
    reading.flags.writeable = False
    for shared in (array, reading):
        kept = frozen(shared)
        array[0] += 1
        assert kept[0] == array[0] - 1


def test_python_objects_are_no_content() -> None:
    with pytest.raises(MediaError, match="numbers"):
        frozen([object()])


# -- what each modality takes


def test_images_say_how_to_mend_what_they_refuse() -> None:
    with pytest.raises(MediaError, match=r"\* 255"):
        Image(np.zeros((2, 2, 3)))
    with pytest.raises(MediaError, match="transpose"):
        Image(np.zeros((3, 20, 20), "uint8"))
    with pytest.raises(MediaError, match="uint8"):
        Image(np.zeros((2, 2), bool))
    for shape in ((2, 2, 2), (0, 2, 3), (4,)):
        with pytest.raises(MediaError, match="Image is"):
            Image(np.zeros(shape, "uint8"))


def test_audio_says_how_to_mend_what_it_refuses() -> None:
    with pytest.raises(MediaError, match="rate="):
        Audio(np.zeros(3, "float32"))
    for rate in (0, 999, 10**6, True, 8000.0):
        with pytest.raises(MediaError, match="whole number of Hz"):
            Audio(np.zeros(3, "float32"), rate)  # type: ignore[arg-type]  # the wrong types are what is tested
    for bad in (math.nan, math.inf, -math.inf):
        with pytest.raises(MediaError, match="NaN or infinite"):
            Audio(np.array([0, bad], "float32"), 8000)
    with pytest.raises(MediaError, match="full scale"):
        Audio(np.array([0.0, 20_000.0]), 8000)
    with pytest.raises(MediaError, match="int32"):
        Audio(np.zeros(3, "int32"), 8000)
    with pytest.raises(MediaError, match="transpose"):
        Audio(np.zeros((1, 8000), "float32"), 8000)


def test_rates_may_be_numpys_numbers() -> None:
    silence = np.zeros(3, "float32")
    for rate in (np.int64(8000), np.uint16(8000)):
        audio = Audio(silence, rate)
        assert type(audio.rate) is int and audio == Audio(silence, 8000)
        assert Audio(audio.encode(), rate) == audio
    for bad in (np.bool_(True), np.float32(8000), np.array([8000]), np.array(8000), "8000"):
        with pytest.raises(MediaError, match="whole number of Hz"):
            Audio(silence, bad)  # type: ignore[arg-type]  # the wrong types are what is tested
    frames = np.zeros((2, 4, 4, 3), "uint8")
    for fps in (np.float32(25), np.int8(25), Fraction(25)):
        video = Video(frames, fps=fps)
        assert type(video.fps) is float and video == Video(frames, fps=25)
        assert Video(video.encode(), fps=fps) == video
    for wrong in (np.bool_(True), np.array([25.0]), np.array(25.0)):
        with pytest.raises(MediaError, match="fps is a number"):
            Video(frames, fps=wrong)


def test_int16_samples_are_scaled() -> None:
    assert Audio(np.array([-32768, 16384], "int16"), 8000).array.ravel().tolist() == [-1.0, 0.5]


def test_video_says_how_to_mend_what_it_refuses() -> None:
    frames = np.zeros((2, 4, 4, 3), "uint8")
    with pytest.raises(MediaError, match="fps="):
        Video(frames)
    for fps in (0, -1, math.nan, math.inf, "25", True):
        with pytest.raises(MediaError, match="fps is a number"):
            Video(frames, fps=fps)  # type: ignore[arg-type]  # the wrong types are what is tested
    with pytest.raises(MediaError, match="uint8"):
        Video(frames.astype("float32"), fps=5)
    with pytest.raises(MediaError, match="N, H, W, 3"):
        Video(frames[0], fps=5)


def test_points_and_embeddings_say_how_to_mend_what_they_refuse() -> None:
    with pytest.raises(MediaError, match="N, 3"):
        Points(np.zeros((2, 2)))
    with pytest.raises(MediaError, match="isfinite"):
        Points(np.full((1, 3), np.nan))
    with pytest.raises(MediaError, match="isfinite"):
        Points(np.full((1, 3), 1e300))
    with pytest.raises(MediaError, match=r"\[L, D\]"):
        Embedding(np.zeros(3), "test")
    with pytest.raises(MediaError, match="mask"):
        Embedding(np.zeros((3, 1)), "test", mask=[True])
    with pytest.raises(MediaError, match="space"):
        Embedding(np.zeros((3, 1)), "")
    with pytest.raises(MediaError, match="float array"):
        Embedding([["a"]], "test")


def test_text_refuses_what_cannot_be_written_down() -> None:
    with pytest.raises(MediaError, match="lone surrogate at position 1"):
        Text("a\ud800")
    with pytest.raises(MediaError, match="open a file"):
        Text(Path("file.txt"))  # type: ignore[arg-type]  # the wrong type is what is tested
    with pytest.raises(MediaError, match="BCP 47 tag like 'de', not int"):
        Text("a", lang=5)  # type: ignore[arg-type]  # as above


def test_long_text_does_not_fill_a_log() -> None:
    assert repr(Text("short")) == "Text('short')"
    assert len(repr(Text("x" * 10_000))) < 150
