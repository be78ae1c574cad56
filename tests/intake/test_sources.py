"""The door itself: paths, bytes, data URIs, and what is turned away."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest

from mmagent.errors import IntakeError, MediaError
from mmagent.intake import Limits, read, write_atomic
from mmagent.media import Image, Media, Text


def test_a_path_gives_its_bytes_and_its_name(tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    path.write_bytes(b"hi")
    for source in (path, str(path)):
        found = read(source)
        assert (found.data, found.name) == (b"hi", str(path))


@pytest.mark.parametrize(
    "source", [b"hi", bytearray(b"hi"), memoryview(b"hi")], ids=["bytes", "bytearray", "memoryview"]
)
def test_bytes_are_taken_as_they_are(source: object) -> None:
    assert read(source).data == b"hi"


@pytest.mark.parametrize(
    ("uri", "data"),
    [
        ("data:,a%20b", b"a b"),
        ("data:text/plain;charset=utf-8,%C3%A4", "ä".encode()),
        ("data:text/plain;base64,aGk=", b"hi"),
        ("DATA:image/png;name=x;BASE64,aGk%3D", b"hi"),
    ],
)
def test_data_uris_are_decoded(uri: str, data: bytes) -> None:
    assert read(uri).data == data


def test_a_value_reads_its_own_data_uri() -> None:
    text = Text("ä, 世界")
    assert Text.open(text.data_uri()) == text == Media.open(text.data_uri())


@pytest.mark.parametrize("uri", ["data:text/plain", "data:text/plain;base64,a", "data:;base64,a b!"])
def test_a_malformed_data_uri_is_refused(uri: str) -> None:
    with pytest.raises(IntakeError, match=r"base64|comma"):
        read(uri)


@pytest.mark.parametrize("uri", ["https://example.org/cat.png", "HTTP://127.0.0.1/cat.png"])
def test_no_url_is_fetched_unless_its_host_is_named(uri: str) -> None:
    with pytest.raises(IntakeError, match=r"not fetched: hosts allowed are none; add hosts=\["):
        Image(uri)
    with pytest.raises(IntakeError, match=r"hosts allowed are example.com"):
        Media.open(uri, hosts=["example.com"])


@pytest.mark.parametrize("uri", ["file:///etc/passwd", "ftp://example.org/a", "gopher://x", "concat://a|b"])
def test_other_schemes_are_refused(uri: str) -> None:
    with pytest.raises(IntakeError, match="address; give a path"):
        read(uri, hosts=["example.org", ""])


def test_what_is_not_there_is_named_with_the_folder_that_was_searched() -> None:
    with pytest.raises(IntakeError, match=r"absent\.png: No such file.*relative to"):
        read("absent.png")


def test_what_is_no_file_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for source in (tmp_path, pipe, Path("/dev/zero")):
        with pytest.raises(IntakeError, match="not a regular file"):
            read(source)


def test_content_in_place_of_a_path_is_not_repeated() -> None:
    secret = base64.b64encode(b"a private picture" * 100).decode()
    for source in (secret, "a\0b"):
        with pytest.raises(IntakeError, match="is no path") as caught:
            read(source)
        assert source not in str(caught.value)


@pytest.mark.parametrize("source", [None, 7, ["a"], {"url": "x"}])
def test_other_things_are_no_source(source: object) -> None:
    with pytest.raises(IntakeError, match="give a path, bytes"):
        read(source)


def test_a_file_over_the_limit_is_named_with_its_size_and_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "big.txt"
    path.write_bytes(b"x" * 2000)
    uri = "data:text/plain;base64," + base64.b64encode(b"x" * 2000).decode()
    for source in (path, b"x" * 2000, uri, "data:," + "x" * 4000):
        with pytest.raises(IntakeError, match=r"bytes, the limit is 1,000; .*Limits\(file_bytes="):
            read(source, limits=Limits(file_bytes=1000))
    assert len(read(path, limits=Limits(file_bytes=2000)).data) == 2000


def test_limits_refuse_what_is_no_number() -> None:
    with pytest.raises(IntakeError):
        Limits().check("video_seconds", float("nan"), "clip")


def test_files_are_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "file.bin"
    write_atomic(target, b"old")
    write_atomic(str(target), b"new")
    assert target.read_bytes() == b"new"

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(MediaError, match="No space left"):
        write_atomic(target, b"newer")
    assert target.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [target]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"gone.file\.txt.*make its folder first"):
        Text("a").save(tmp_path / "gone" / "file.txt")


def test_written_files_have_the_usual_permissions(tmp_path: Path) -> None:
    write_atomic(tmp_path / "ours", b"")
    (tmp_path / "usual").write_bytes(b"")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "usual").stat().st_mode
