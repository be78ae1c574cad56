"""Small valid files of every format, cut and flipped at random: a value or a typed error, and no surprise."""

from __future__ import annotations

import resource
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmagent.errors import IntakeError, MediaError
from mmagent.intake import Limits
from mmagent.media import Audio, Embedding, Image, Media, Points, Text, Video

NOISE = np.random.default_rng(0)
LIMITS = Limits(decoded_bytes=32 * 2**20, pixels=2**20, frames=500, characters=2**20, points=2**16)
HEADROOM = 768 * 2**20
"""What the process may grow by while it reads a damaged file; a header that is believed asks for far more."""


def values() -> list[Media]:
    tone = Audio(NOISE.uniform(-0.5, 0.5, (2000, 2)).astype("float32"), 16_000)
    return [
        Text("Grüße, 世界"),
        Image(NOISE.integers(0, 256, (16, 16, 3)).astype("uint8")),
        Image(NOISE.integers(0, 65536, (16, 16, 4)).astype("uint16")),
        tone,
        Video(NOISE.integers(0, 256, (3, 16, 16, 3)).astype("uint8"), fps=10, audio=tone),
        Points(NOISE.uniform(-1, 1, (20, 4))),
        Embedding(NOISE.uniform(-1, 1, (4, 8)), "test"),
    ]


def files() -> list[tuple[type[Media], str, bytes]]:
    found = []
    for value in values():
        for suffix in value.suffixes:
            mute = isinstance(value, Video) and suffix == ".gif"
            written: Any = Video(value.view("frames"), fps=10) if mute else value
            found.append((type(value), suffix, written.encode(suffix)))
    return found


FILES = files()


@pytest.fixture(autouse=True)
def bounded_memory() -> Iterator[None]:
    with open("/proc/self/statm") as file:  # noqa: PTH123  # procfs has no size for Path to read by
        pages = int(file.read().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + HEADROOM, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def attempt(kind: type[Media], data: bytes) -> None:
    for door in (kind, Media):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns about what it then reads; a user may let it
            try:
                found = door.open(data, limits=LIMITS)
            except (IntakeError, MediaError) as error:
                assert len(str(error)) < 400
                continue
        assert isinstance(found, Media) and len(found.digest) == 64 and found.nbytes <= 2 * LIMITS.decoded_bytes


@pytest.mark.parametrize(
    ("kind", "suffix", "data"), FILES, ids=[f"{kind.__name__}{suffix}" for kind, suffix, _ in FILES]
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(draw=st.data())
def test_damage_gives_a_value_or_a_typed_error(
    kind: type[Media], suffix: str, data: bytes, draw: st.DataObject
) -> None:
    damaged = bytearray(data)
    # Headers come first: half of the blows go there.
    places = st.integers(0, len(data) - 1) | st.integers(0, min(len(data), 200) - 1)
    for _ in range(draw.draw(st.integers(0, 6), "flips")):
        damaged[draw.draw(places, "place")] = draw.draw(
            st.integers(0, 255) | st.sampled_from([0, 127, 128, 255]), "byte"
        )
    if draw.draw(st.booleans(), "cut"):
        del damaged[draw.draw(places, "end") :]
    attempt(kind, bytes(damaged))


@pytest.mark.parametrize(
    ("kind", "suffix", "data"), FILES, ids=[f"{kind.__name__}{suffix}" for kind, suffix, _ in FILES]
)
def test_every_cut_near_the_beginning_is_survived(kind: type[Media], suffix: str, data: bytes) -> None:
    for end in [*range(0, min(len(data), 120), 3), *range(120, len(data), max(len(data) // 20, 1))]:
        attempt(kind, data[:end])


@given(st.binary(max_size=300))
def test_noise_is_survived(data: bytes) -> None:
    for kind in (Text, Image, Audio, Video, Points, Embedding):
        attempt(kind, data)


def test_the_guard_of_this_file_bites() -> None:
    with pytest.raises(MemoryError):
        np.ones(2 * HEADROOM, "uint8")
