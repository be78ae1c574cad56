"""Shards in the WebDataset layout: any sample by number, media unread, damage told."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

from mmagent.errors import IntakeError
from mmagent.media import Image
from mmagent.training.data import BadRecord, TarRecords, WebDataset, Worded, Words, cc3m


def png(shade: int) -> bytes:
    return Image(np.full((4, 4, 3), shade, np.uint8)).encode()


def shard(path: Path, members: list[tuple[str, bytes | None]], form: int = tarfile.PAX_FORMAT, mode: str = "w") -> Path:
    """A tar of these members; None is a link."""
    with tarfile.open(path, mode, format=form) as tar:  # type: ignore[call-overload]  # typeshed wants a literal mode
        for name, data in members:
            item = tarfile.TarInfo(name)
            if data is None:
                item.type, item.linkname = tarfile.SYMTYPE, "/etc/hostname"
            else:
                item.size = len(data)
            tar.addfile(item, io.BytesIO(data or b""))
    return path


def sample(key: str, shade: int) -> list[tuple[str, bytes | None]]:
    told = json.dumps({"caption": f"shade {shade}", "status": "success"}).encode()
    return [(f"{key}.png", png(shade)), (f"{key}.txt", f" shade {shade}\n".encode()), (f"{key}.json", told)]


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_samples_of_several_shards_are_read_in_any_order(tmp_path: Path, form: int) -> None:
    long = "d" * (90 if form == tarfile.USTAR_FORMAT else 150)
    first = shard(tmp_path / "00000.tar", [*sample("000000000", 1), *sample(f"{long}/b", 2)], form)
    second = shard(tmp_path / "00001.tar", sample("000010000", 3), form)
    source = Worded(cc3m([first, second]), "pair")
    assert len(source) == 3
    for index, shade in ((2, 3), (0, 1), (1, 2)):
        record = source[index]
        assert record.turns[1].parts == (Words(f"shade {shade}", True),)
        (picture,) = record.conversation().media
        assert isinstance(picture, Image) and picture.array.min() == picture.array.max() == shade
    assert source[0].place == f"{first}/000000000"
    assert next(source[0].media).place == f"{first}/000000000.png"


def test_fields_are_chosen_by_ending_or_from_the_json(tmp_path: Path) -> None:
    path = shard(tmp_path / "a.tar", [*sample("a", 1), ("b.PNG", png(2)), ("b.json", b'{"caption": "B"}')])
    source = WebDataset(path, {"media": "jpg;png", "caption": "json:caption"})
    assert source[0].values["caption"] == "shade 1" and source[1].values["caption"] == "B"
    with pytest.raises(BadRecord, match=r"a\.tar/b: it has no member \.txt; it has json, png"):
        cc3m(path)[1]


def test_records_of_our_own_may_lie_in_shards(tmp_path: Path) -> None:
    turns = [
        {"role": "user", "parts": [{"media": "image", "path": "1.png"}]},
        {"role": "assistant", "parts": [{"text": "Grey."}]},
    ]
    line = json.dumps({"kind": "gold-pair", "turns": turns}).encode()
    bad = json.dumps({"kind": "gold-pair", "turns": turns}).replace("1.png", "2.png").encode()
    members = [("x.1.png", png(5)), ("x.json", line), ("y.json", bad), ("y.1.png", png(6)), ("z.1.png", png(7))]
    source = TarRecords(shard(tmp_path / "a.tar", [*members]))
    assert source[0].conversation().media[0].array.max() == 5  # type: ignore[attr-defined]  # it is an Image
    with pytest.raises(BadRecord, match=r"a\.tar/y: it has no member \.2\.png"):
        source[1]
    with pytest.raises(BadRecord, match=r"a\.tar/z: it has no member \.json"):
        source[2]


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ([("a.png", None), ("a.txt", b"x")], "is a link, which is not followed"),
        ([("a.png", png(1)), ("a.txt", b"\xff")], "not UTF-8"),
        ([("a.png", png(1)), ("a.png", png(2)), ("a.txt", b"x")], "two members .png"),
        ([("LICENSE", b"free")], "no member .jpg or .jpeg or .png"),
    ],
)
def test_a_bad_sample_is_told_and_the_next_is_read(tmp_path: Path, members: list[tuple[str, bytes]], said: str) -> None:
    source = cc3m(shard(tmp_path / "a.tar", [*members, *sample("next", 3)]))
    with pytest.raises(BadRecord, match=said):
        source[0]
    assert source[1].values["caption"] == "shade 3"


def test_a_damaged_picture_is_told_by_its_member(tmp_path: Path) -> None:
    source = cc3m(shard(tmp_path / "a.tar", [("a.png", png(1)[:40]), ("a.txt", b"x")]))
    with pytest.raises(BadRecord, match=r"a\.tar/a\.png: "):
        source[0].values["media"].open()  # type: ignore[union-attr]  # it is a Reference


@pytest.mark.parametrize("keep", [0.4, 0.7, 0.9])
def test_a_shard_that_was_cut_short_ends_with_a_bad_record(tmp_path: Path, keep: float) -> None:
    path = shard(tmp_path / "a.tar", [item for number in range(20) for item in sample(f"{number:03d}", number)])
    length = 20 * 3 * 1024
    path.write_bytes(path.read_bytes()[: int(length * keep) + 700])
    source = cc3m(path)
    assert 0 < len(source) < 21
    with pytest.raises(BadRecord, match=r"a\.tar: it is damaged or cut short at byte"):
        source[len(source) - 1]
    assert source[0].values["caption"] == "shade 0"


def test_a_header_that_makes_no_sense_is_not_taken_for_the_end(tmp_path: Path) -> None:
    path = shard(tmp_path / "a.tar", [*sample("a", 1), *sample("b", 2)])
    data = bytearray(path.read_bytes())
    data[3 * 1024 : 3 * 1024 + 512] = b"\xaa" * 512
    path.write_bytes(data)
    source = cc3m(path)
    assert len(source) == 2 and source[0].values["caption"] == "shade 1"
    with pytest.raises(BadRecord, match="damaged or cut short at byte 3,072"):
        source[1]


def test_what_cannot_be_read_from_the_middle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IntakeError, match=r"is no uncompressed tar .*gzip -d"):
        cc3m(shard(tmp_path / "a.tar.gz", sample("a", 1), mode="w:gz"))
    with pytest.raises(IntakeError, match=r"cannot read .*check the path"):
        cc3m(tmp_path / "nothing.tar")
