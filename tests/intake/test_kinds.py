"""Telling what a file is without being told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmagent.errors import IntakeError
from mmagent.intake import sniff
from mmagent.media import MODALITIES, Audio, Embedding, Image, Media, Points, Text, Video

VALUES: list[Any] = [
    Text("plain words"),
    Image(np.zeros((4, 4), "uint8")),
    Image(np.zeros((4, 4, 3), "uint16")),
    Audio(np.zeros(800, "float32"), 8000),
    Video(np.zeros((2, 4, 4, 3), "uint8") + np.array([[[[0]]], [[[200]]]], "uint8"), fps=5),
    Points(np.zeros((1, 3))),
    Embedding(np.zeros((1, 1)), "test"),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_every_file_we_write_is_known_by_its_content(value: Media) -> None:
    for suffix in value.suffixes:
        data = value.encode(suffix)
        if suffix != ".xyz":  # a table of numbers is text, unless its name says otherwise
            assert sniff(data) == value.modality, suffix
            for wrong in ("wrong.txt", "wrong.tmp", "data:application/octet-stream"):
                assert sniff(data, wrong) == value.modality, (suffix, wrong)
        assert sniff(data, f"right{suffix.upper()}") == value.modality, suffix


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"\0\0\0\x18ftypM4A \0\0\0\0", "audio"),
        (b"\0\0\0\x18ftypisom\0\0\0\0", "video"),
        (b"\0\0\0\x18ftypavif\0\0\0\0", "image"),
        (b"\x1aE\xdf\xa3\x9f ... A_OPUS", "audio"),
        (b"\x1aE\xdf\xa3\x9f ... V_VP9 A_OPUS", "video"),
        (b"ID3\x04\0\0\0\0\0\x0a", "audio"),
        (b"OggS\0\x02", "audio"),
        (b"P2\n# grey\n2 2\n255\n1 2 3 4", "image"),
        (b"P1 2 1\n1 0", "image"),
        (b"P4 8 1\n\xf0", "image"),
        (b"ply\ncomment ours\nformat ascii 1.0\n", "points"),
        (b"\xff\xfb\x90\x64", "audio"),
        (b"\xff\xd8\xff\xe0", "image"),
        (b"\xff\xfeh\0i\0", "text"),
        (b"", "text"),
        ("Grüße".encode(), "text"),
        (b"BM is how this text begins", "text"),
        (b"ply is thin wood", "text"),
        (b"ply\nis thin wood", "text"),
        (b"GIF89a, a format", "text"),
        (b"P2 2 students came", "text"),
        (b"P5 is a grey picture to a computer only if numbers follow", "text"),
    ],
)
def test_beginnings(data: bytes, kind: str) -> None:
    assert sniff(data) == kind


def test_bytes_of_no_known_kind_are_refused_without_showing_them() -> None:
    secret = b"\x01\x02secret\x00\xff"
    with pytest.raises(
        IntakeError, match=r"mystery\.bin: not a kind of file that is known here \(10 bytes\)"
    ) as caught:
        sniff(secret, "mystery.bin")
    assert "secret" not in str(caught.value)


UNLUCKY = [
    "P2 2 students came", "P3 3 3 255 is how a picture begins", "P1 1 1 1", "BMW is a brand", "ID3 holds titles",
    "OggS begins a page", "fLaC and others", "GIF89a moves", "ply\nformat ascii 1.0", "The moov of a film",
    "RIFF has WAVE inside", ".snd", "FORM 123AIFF", "II*", "äöü",
]  # fmt: skip


@pytest.mark.parametrize("words", UNLUCKY)
@pytest.mark.parametrize("name", ["note.txt", "NOTE.MD", "data:text/plain"])
def test_a_text_file_is_text_however_it_begins(words: str, name: str) -> None:
    assert sniff(words.encode(), name) == "text"
    assert sniff(words.encode("utf-16"), name) == "text"


@given(st.text())
def test_a_text_file_is_text_whatever_it_says(words: str) -> None:
    opened = Media.open(Text(words.replace("\0", "")).data_uri())
    assert type(opened) is Text


def test_a_users_ending_or_type_comes_first_unless_it_is_one_of_ours() -> None:
    data = Points(np.zeros((1, 3))).encode()
    kinds = {".depth": "depth", ".npy": "depth", "application/x-depth": "depth", "application/x-npy": "depth"}
    for name in ("map.depth", "MAP.DEPTH", "https://example.org/map.depth", "data:application/x-depth"):
        assert sniff(data, name, kinds) == "depth"
    for name in ("map.npy", "data:application/x-npy", "https://example.depth", "depth", "take.2", "map.tmp"):
        assert sniff(data, name, kinds) == "points"


@pytest.mark.parametrize("value", [Points(np.zeros((1, 3))), VALUES[4], VALUES[6]], ids=["npy", "mkv", "npz"])
def test_a_container_with_a_name_that_nobody_has_declared_is_refused(value: Media) -> None:
    for name, what in (("map.depth", r"\.depth"), ("data:application/x-depth", "application/x-depth")):
        with pytest.raises(IntakeError, match=f"{what} is not registered; import the file that declares"):
            sniff(value.encode(), name)
        with pytest.raises(IntakeError, match="not registered"):
            sniff(value.encode(), name, {".other": "other"})
    assert sniff(value.encode(), "photo.jfif.npy") == value.modality


def test_a_long_run_of_spaces_is_read_quickly() -> None:
    assert sniff(b"P2" + b" " * 10**6) == "text"


def test_every_modality_of_ours_can_be_found() -> None:
    ours = {name for name, kind in MODALITIES.items() if kind.__module__.startswith("mmagent.media.")}
    assert {sniff(value.encode()) for value in VALUES} == ours - {"speech"}
