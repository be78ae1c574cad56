"""Telling what a file is without being told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

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
            assert sniff(data, "wrong.txt") == value.modality, suffix
        assert sniff(data, f"right{suffix.upper()}") == value.modality, suffix


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"\0\0\0\x18ftypM4A \0\0\0\0", "audio"),
        (b"\0\0\0\x18ftypisom\0\0\0\0", "video"),
        (b"\0\0\0\x18ftypavif\0\0\0\0", "image"),
        (b"\x1aE\xdf\xa3 ... A_OPUS", "audio"),
        (b"\x1aE\xdf\xa3 ... V_VP9 A_OPUS", "video"),
        (b"ID3\x04", "audio"),
        (b"\xff\xfb\x90\x64", "audio"),
        (b"\xff\xd8\xff\xe0", "image"),
        (b"\xff\xfeh\0i\0", "text"),
        (b"", "text"),
        ("Grüße".encode(), "text"),
        (b"BM is how this text begins", "text"),
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


def test_a_users_ending_comes_first_unless_it_is_one_of_ours() -> None:
    data = Points(np.zeros((1, 3))).encode()
    endings = {".depth": "depth", ".npy": "depth"}
    assert sniff(data, "map.depth", endings) == "depth"
    assert sniff(data, "map.npy", endings) == "points"
    assert sniff(data, "map.depth") == "points"


def test_every_modality_of_ours_can_be_found() -> None:
    assert {sniff(value.encode()) for value in VALUES} == set(MODALITIES) - {"speech"}
