"""Points, embeddings and text: headers that lie, archives that burst, text that is none."""

from __future__ import annotations

import io
import struct
import zipfile
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmagent.errors import IntakeError
from mmagent.intake import Limits, npy
from mmagent.media import Embedding, Media, Points, Text

CLOUD = np.arange(12, dtype="float32").reshape(3, 4)


def numpy_file(array: Any, **options: bool) -> bytes:
    out = io.BytesIO()
    np.save(out, array, **options)
    return out.getvalue()


def forged(shape: str, kind: str = "<f4") -> bytes:
    """A `.npy` of any shape over twelve bytes."""
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + bytes(12)


# -- .npy


@pytest.mark.parametrize("kind", ["<f4", ">f4", "<f8", "<i2", "|u1", "<f2"])
def test_points_of_any_real_type_and_order_are_read(kind: str) -> None:
    for array in (CLOUD.astype(kind), np.asfortranarray(CLOUD.astype(kind))):
        assert Media.open(numpy_file(array)) == Points(CLOUD)


@pytest.mark.parametrize(
    "shape", ["(1000000000000, 3)", "(1, 4)", "(0, 3)", "(-1, 3)", "(2, -1)", "(2**70, 3)", "3", "()"]
)
def test_a_header_that_promises_another_size_is_refused(shape: str) -> None:
    with pytest.raises(IntakeError):
        Points(forged(shape))


def test_python_objects_are_never_loaded() -> None:
    with pytest.raises(IntakeError, match="Python objects, which are never loaded"):
        Points(numpy_file(np.array([[print, 1, 2]], dtype=object), allow_pickle=True))
    with pytest.raises(IntakeError):
        Points(forged("(1, 3)", "|O"))


def test_an_array_read_is_a_view_of_the_file() -> None:
    data = npy.encode(CLOUD)
    found = npy.decode(data)
    assert np.array_equal(found, CLOUD) and not found.flags.writeable and not found.flags.owndata


# -- .ply and .xyz

HEADER = """ply
format {format} 1.0
comment made by nobody
element vertex 2
property uchar red
property float x
property float y
property double z
element face 1
property list uchar int vertex_index
end_header
"""


def test_vertices_of_a_mesh_are_read_with_their_coordinates_first() -> None:
    wanted = Points(np.array([[1, 2, 3, 200], [4, 5, 6, 100]]))
    text = HEADER.format(format="ascii") + "200 1 2 3\n100 4 5 6\n3 0 1 0\n"
    assert Media.open(text.encode()) == wanted
    assert Points(text.replace("\n", "\r\n").encode()) == wanted
    for name, order in (("binary_little_endian", "<"), ("binary_big_endian", ">")):
        body = struct.pack(f"{order}BffdBffd", 200, 1, 2, 3, 100, 4, 5, 6) + b"\3\0\0\0"
        assert Media.open(HEADER.format(format=name).encode() + body) == wanted


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("vertex 2", "vertex 99999999999999999999"),
        ("vertex 2", "vertex 3"),
        ("vertex 2", "vertex -2"),
        ("vertex 2", "vertex ²"),
        ("float x", "float u"),
        ("float x", "float y"),
        ("float x", "list uchar float x"),
        ("format ascii 1.0", "format utf8 1.0"),
        ("end_header", "end"),
        ("element vertex 2", "element edge 2"),
        ("4 5 6", "4 5"),
        ("4 5 6", "4 5 six"),
        ("4 5 6", "4 5 nan"),
    ],
)
def test_a_polygon_file_that_lies_is_refused(old: str, new: str) -> None:
    text = HEADER.format(format="ascii") + "200 1 2 3\n100 4 5 6\n"
    assert old in text
    with pytest.raises(IntakeError) as caught:
        Points(text.replace(old, new).encode())
    assert "six" not in str(caught.value)


def test_tables_are_read_and_what_is_no_table_is_refused() -> None:
    assert Points(b"# x y z\n1 2 3\n\n4 5 6\n") == Points(np.array([[1, 2, 3], [4, 5, 6]]))
    for bad in (
        b"",
        b"\n \n",
        b"# only\n",
        b"1 2 3\n4 5\n",
        b"1 2\n",
        b"one two three\n",
        b"1 2 \xff\n",
        b"1e99 0 0\n",
    ):
        with pytest.raises(IntakeError) as caught:
            Points(bad)
        assert "two" not in str(caught.value)


@pytest.mark.parametrize("suffix", sorted(Points.suffixes))
def test_the_number_of_points_is_limited(suffix: str) -> None:
    data = Points(CLOUD).encode(suffix)
    with pytest.raises(IntakeError, match="3 points, the limit is 2"):
        Points(data, limits=Limits(points=2))
    with pytest.raises(IntakeError, match="the limit is 40"):
        Points(data, limits=Limits(decoded_bytes=40))


# -- .npz


def archive(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as file:
        for name, data in members.items():
            file.writestr(f"{name}.npy", data)
    return out.getvalue()


def members(**changed: Any) -> dict[str, bytes]:
    arrays = {"states": np.ones((2, 3), "float32"), "mask": np.ones(2, bool), "space": np.array("test")} | changed
    return {
        name: array if isinstance(array, bytes) else npy.encode(np.asarray(array)) for name, array in arrays.items()
    }


def test_numpy_reads_our_embeddings_and_we_read_numpys() -> None:
    embedding = Embedding(np.ones((2, 3)), "test", [True, False])
    found = np.load(io.BytesIO(embedding.encode()), allow_pickle=False)
    assert str(found["space"]) == "test" and np.array_equal(found["mask"], [True, False])
    out = io.BytesIO()
    np.savez_compressed(out, states=embedding.array, mask=embedding.mask, space="test")
    assert Embedding.open(out.getvalue()) == embedding == Media.open(out.getvalue())


@pytest.mark.parametrize(
    "changed",
    [
        {"states": np.ones(3, "float32")},
        {"states": np.ones((2, 3), "int32")},
        {"states": np.full((2, 3), np.nan, "float32")},
        {"mask": np.ones(3, bool)},
        {"mask": np.ones(2, "uint8")},
        {"space": np.array(["a", "b"])},
        {"space": np.array("")},
        {"space": np.array("x" * 201)},
        {"space": np.array("a\nb")},
        {"space": np.array(7)},
        {"states": forged("(1000000000, 1000000000)")},
        {"extra": np.ones(1)},
    ],
    ids=str,
)
def test_an_embedding_from_outside_is_what_it_says_or_refused(changed: dict[str, Any]) -> None:
    assert Embedding.open(archive(members()))
    with pytest.raises(IntakeError):
        Embedding.open(archive(members(**changed)))


def test_pickles_inside_an_embedding_are_never_loaded() -> None:
    states = numpy_file(np.array([[print]], dtype=object), allow_pickle=True)
    with pytest.raises(IntakeError, match="never loaded"):
        Embedding.open(archive(members(states=states)))


def test_an_archive_that_bursts_is_refused_by_what_it_states() -> None:
    bomb = archive(members(states=np.zeros((1000, 5000), "float32")), zipfile.ZIP_DEFLATED)
    assert len(bomb) < 100_000
    with pytest.raises(IntakeError, match=r"decoded bytes, the limit is 1,000,000"):
        Embedding.open(bomb, limits=Limits(decoded_bytes=1_000_000))


def test_an_archive_that_understates_its_size_is_refused() -> None:
    data = bytearray(archive(members(states=np.zeros((1000, 5000), "float32")), zipfile.ZIP_DEFLATED))
    at = data.index(b"PK\x01\x02") + 24  # the size of the first member, in the directory
    data[at : at + 4] = struct.pack("<I", 1000)
    with pytest.raises(IntakeError, match="not a readable"):
        Embedding.open(bytes(data), limits=Limits(decoded_bytes=1_000_000))


# -- text


@given(st.text(), st.sampled_from(["utf-8", "utf-8-sig", "utf-16-le", "utf-16-be"]))
def test_text_with_a_byte_order_mark_is_read(text: str, encoding: str) -> None:
    mark = "\ufeff" if encoding.startswith("utf-16") or text.startswith("\ufeff") else ""
    assert Text.open((mark + text).encode(encoding)).text == text


@pytest.mark.parametrize(
    "data", [b"caf\xe9", b"\x00\xff\x00", "x".encode("utf-16-le") + b"\xff", b"\xff\xfe\x00\xd8", b"\xed\xa0\x80"]
)
def test_what_is_no_text_is_refused(data: bytes) -> None:
    with pytest.raises(IntakeError, match=r"text \(byte \d|not utf-8 text"):
        Text.open(data)


def test_line_ends_stay_as_they_are() -> None:
    assert Text.open(b"a\r\nb\rc\n").text == "a\r\nb\rc\n"


def test_the_number_of_characters_is_limited_and_not_that_of_bytes() -> None:
    limits = Limits(characters=4)
    for text in ("äöüß", "𝄞𝄞𝄞𝄞", "abcd"):
        for encoding in ("utf-8", "utf-16"):
            assert Text.open(text.encode(encoding), limits=limits).text == text
            with pytest.raises(IntakeError, match="characters, the limit is 4"):
                Text.open((text + "more").encode(encoding), limits=limits)
