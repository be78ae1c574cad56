"""What a caller may name, and how it is refused: every reference, every list, every number that JSON can write."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from mmagent.adapters.mcp.held import Shelter
from mmagent.adapters.mcp.inputs import Door, read_arguments
from mmagent.adapters.mcp.offer import offer
from mmagent.card import Card, Port, Setting
from mmagent.errors import CardError, IntakeError
from mmagent.intake import Limits
from mmagent.media import Image, Text

PICTURE = Image(np.arange(60, dtype=np.uint8).reshape(4, 5, 3))
CARD = Card(
    "look.v1",
    "converter",
    (Port("image", "image", optional=True), Port("more", "image", many=True, optional=True), Port("other", "any", optional=True)),
    (Port("text", "text"),),
    (Setting("level", "int", 1),),
)  # fmt: skip


@pytest.fixture
def door(tmp_path: Path) -> Door:
    (tmp_path / "root").mkdir()
    PICTURE.save(tmp_path / "out.png")
    PICTURE.save(tmp_path / "root" / "in.png")
    (tmp_path / "root" / "link.png").symlink_to(tmp_path / "out.png")
    (tmp_path / "root" / "loop").symlink_to(tmp_path / "root" / "loop")
    return Door(Shelter(10_000), tmp_path / "root", Limits())


def read(door: Door, **given: Any) -> tuple[dict[str, Any], dict[str, Any], int]:
    return read_arguments(offer(CARD, load_settings=False, seeded=True), given, door)


def test_files_below_the_root_may_be_named(door: Door) -> None:
    path = Path(door.root or "") / "in.png"
    for name in ("in.png", str(path), path.as_uri(), path.as_uri().replace("///", "//localhost/"), "file:in.png"):
        assert read(door, image=name)[0] == {"image": PICTURE}
        assert read(door, other=name)[0] == {"other": PICTURE}


@pytest.mark.parametrize(
    "name",
    [
        "../out.png",
        "link.png",
        "loop",
        "no.png",
        "x" * 256,
        "/9j/" + "A" * 900,
        "\ud800",
        "\0",
        "http://[",
        "file://[x",
    ],
    ids=lambda text: ascii(text)[:20],
)
def test_whatever_else_is_no_file_and_not_repeated(door: Door, name: str) -> None:
    with pytest.raises(IntakeError, match=r"argument image is a data: URI, .* or a path below its root") as refused:
        read(door, image=name)
    assert name[:60] not in str(refused.value)
    if name.isprintable():
        assert read(door, other=name)[0] == {"other": Text(name)}  # which takes words, too


def test_what_a_list_becomes_counts_together(door: Door) -> None:
    file = io.BytesIO()
    PIL.Image.new("1", (1000, 1000)).save(file, "PNG")
    picture = Image(file.getvalue())
    address = Door(door.held, None, door.limits).held.keep(picture, picture.encode())
    assert address is not None
    for name in (picture.data_uri(), address.uri):
        one = Door(door.held, door.root, Limits(decoded_bytes=8_000_000))
        assert len(read(one, more=[name] * 1)[0]["more"]) == 1
        several = Door(door.held, door.root, Limits(decoded_bytes=9_000_000))
        with pytest.raises(IntakeError, match="8,000,000 decoded bytes, the limit is 7,000,000"):
            read(several, more=[name] * 6)
        with pytest.raises(IntakeError, match="decoded bytes"):
            read(Door(door.held, door.root, Limits(decoded_bytes=8_000_000)), image=name, other=name)


def test_a_seed_is_a_whole_number_as_settings_are(door: Door) -> None:
    assert read(door, seed=3.0, level=3.0)[1:] == ({"level": 3}, 3)
    assert read(door)[2] == 0
    for wrong in (3.5, True, "x", None):
        with pytest.raises(CardError, match="setting seed takes int"):
            read(door, seed=wrong)


def test_a_seed_of_a_tools_own_is_a_setting_of_its_own(door: Door) -> None:
    card = Card("draw.v1", "generator", (), (Port("image", "image"),), (Setting("seed", "str", "a"),))
    assert read_arguments(offer(card, load_settings=False, seeded=True), {"seed": "b"}, door) == ({}, {"seed": "b"}, 0)


def test_a_long_value_is_not_repeated_whole(door: Door) -> None:
    with pytest.raises(CardError, match="setting level takes int, not 'AAAA") as refused:
        read(door, level="A" * 10_000)
    assert len(str(refused.value)) < 200
