"""Pictures from files of every kind that Pillow writes, and the traps that come with them."""

from __future__ import annotations

import io
import struct
import zlib
from fractions import Fraction
from typing import Any

import av
import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest

from mmagent.errors import IntakeError, MediaError
from mmagent.intake import Limits
from mmagent.media import Image, Media

GREY = np.arange(40, dtype="uint8").reshape(5, 8)
COLOUR = np.random.default_rng(0).integers(0, 256, (5, 8, 3)).astype("uint8")


def file(picture: PIL.Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def png(width: int, height: int, body: bytes, bits: int = 8, kind: int = 0) -> bytes:
    """A PNG that claims a size, whatever its body holds."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "BMP", "TIFF", "PPM", "GIF"])
def test_lossless_formats_are_read_exactly(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    picture = PIL.Image.fromarray(COLOUR)
    data = file(picture.quantize(256) if kind == "GIF" else picture, kind, **options)
    found = Media.open(data)
    assert isinstance(found, Image) and np.array_equal(found.array, COLOUR)


def test_lossy_formats_come_close() -> None:
    smooth = np.linspace(0, 255, 64 * 64 * 3).reshape(64, 64, 3).astype("uint8")
    for suffix in (".jpg", ".webp"):
        found = Image(Image(smooth).encode(suffix)).array.astype(int)
        assert found.shape == smooth.shape and np.abs(found - smooth).mean() < 6


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_a_photograph_is_turned_upright(orientation: int, kind: str) -> None:
    picture = PIL.Image.fromarray(COLOUR.repeat(8, 0).repeat(8, 1))
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    data = file(picture, kind, exif=exif)
    upright = PIL.ImageOps.exif_transpose(PIL.Image.open(io.BytesIO(data)))
    assert np.array_equal(Image(data).array, np.asarray(upright))
    opened = PIL.Image.open(io.BytesIO(data))
    assert Image(opened) == Image(data) == Image(upright)
    assert Image(opened) == Image(data)  # loaded by now


@pytest.mark.parametrize("exif", [b"Exif\0\0nonsense", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM", b"Exif\0\0"])
@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")  # Pillow tells it so, where it notices
def test_a_damaged_orientation_turns_nothing(exif: bytes) -> None:
    picture = PIL.Image.fromarray(COLOUR)
    picture.info["exif"] = exif
    assert np.array_equal(Image(picture).array, COLOUR)


def test_modes_become_grey_rgb_or_rgba() -> None:
    picture = PIL.Image.fromarray(COLOUR)
    clear = picture.quantize(16)
    expected: dict[str, tuple[PIL.Image.Image, dict[str, Any], int]] = {
        "1": (picture.convert("1"), {}, 1),
        "L": (picture.convert("L"), {}, 1),
        "LA": (picture.convert("LA"), {}, 4),
        "P": (picture.quantize(16), {}, 3),
        "P with a clear colour": (clear, {"transparency": 3}, 4),
        "L with a clear colour": (picture.convert("L"), {"transparency": 3}, 4),
        "RGB with a clear colour": (picture, {"transparency": (1, 2, 3)}, 4),
        "RGBA": (picture.convert("RGBA"), {}, 4),
    }
    for name, (given, options, channels) in expected.items():
        found = Image(file(given, **options))
        assert (found.channels, found.array.dtype.name) == (channels, "uint8"), name
        if not options:
            again = given.convert({1: "L", 3: "RGB", 4: "RGBA"}[channels])
            assert np.array_equal(found.array.squeeze(), np.asarray(again)), name
            assert Image(given) == found, name


def test_cmyk_becomes_rgb() -> None:
    given = PIL.Image.fromarray(COLOUR).convert("CMYK")
    assert np.array_equal(Image(given).array, np.asarray(given.convert("RGB")))
    assert Image(file(given, "JPEG")).channels == 3


def test_sixteen_bit_grey_is_kept() -> None:
    wide = (np.arange(40, dtype="uint16") * 1601).reshape(5, 8)
    for kind in ("PNG", "TIFF", "PPM"):
        found = Image(file(PIL.Image.fromarray(wide), kind))
        assert np.array_equal(found.array[:, :, 0], wide), kind
    assert Image(Image(wide).encode()) == Image(wide)


@pytest.mark.parametrize(("pixel", "channels"), [("rgb48be", 3), ("rgba64be", 4), ("ya16be", 2)])
@pytest.mark.parametrize("filtering", ["none", "sub", "up", "avg", "paeth", "mixed"])
def test_sixteen_bit_colour_of_another_encoder_is_kept(pixel: str, channels: int, filtering: str) -> None:
    wide = np.random.default_rng(1).integers(0, 65536, (8, 8, channels)).astype("uint16")
    encoder = av.CodecContext.create("png", "w")
    encoder.width = encoder.height = 8
    encoder.pix_fmt, encoder.time_base, encoder.options = pixel, Fraction(1), {"pred": filtering}
    frame = av.VideoFrame(8, 8, pixel)
    rows = np.zeros((8, frame.planes[0].line_size), "uint8")
    rows[:, : 16 * channels] = wide.astype(">u2").reshape(8, -1).view("uint8")
    frame.planes[0].update(rows.tobytes())
    data = b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])
    found = Image(data).array
    if channels == 2:
        assert np.array_equal(found[..., [0, 3]], wide) and np.array_equal(found[..., 0], found[..., 2])
    else:
        assert np.array_equal(found, wide)


def test_sixteen_bit_colour_of_ours_is_read_by_another_decoder() -> None:
    wide = np.random.default_rng(2).integers(0, 65536, (5, 7, 4)).astype("uint16")
    packet = av.Packet(Image(wide).encode())
    frame = av.CodecContext.create("png", "r").decode(packet)[0]
    rows = np.frombuffer(frame.planes[0], "uint8").reshape(5, -1)[:, : 7 * 8]
    assert np.array_equal(rows.copy().view(">u2").reshape(wide.shape), wide)


def test_sixteen_bit_colour_that_would_be_narrowed_is_refused() -> None:
    with pytest.raises(IntakeError, match="convert it to PNG"):
        Image(tiff16())


def tiff16() -> bytes:
    """The smallest TIFF of one 16-bit RGB pixel."""
    tags = [(256, 3, 1, 1), (257, 3, 1, 1), (258, 3, 3, 122), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 1, 128),
            (277, 3, 1, 3), (278, 3, 1, 1), (279, 4, 1, 6)]  # fmt: skip
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    data = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + b"\0\0\0\0"
    return data.ljust(122, b"\0") + struct.pack("<HHH", 16, 16, 16) + b"\x01\x02\x03\x04\x05\x06"


def test_one_clear_colour_of_a_sixteen_bit_picture_becomes_alpha() -> None:
    wide = np.array([[1, 2, 258]], "uint16")
    found = Image(file(PIL.Image.fromarray(wide), transparency=2))
    assert found.array[0].tolist() == [[1, 1, 1, 65535], [2, 2, 2, 0], [258, 258, 258, 65535]]


def test_what_does_not_fit_sixteen_bits_is_refused() -> None:
    for array in (np.full((2, 2), 70_000, "int32"), np.full((2, 2), 0.5, "float32")):
        picture = PIL.Image.fromarray(array)
        with pytest.raises(MediaError, match="scale them"):
            Image(picture)
        with pytest.raises(IntakeError, match="scale them"):
            Image(file(picture, "TIFF"))


def test_a_bomb_is_refused_by_its_header() -> None:
    bomb = png(60_000, 60_000, bytes(10**6))
    with pytest.raises(IntakeError, match=r"3,600,000,000 pixels, the limit is 100,000,000; .*Limits\(pixels="):
        Image(bomb)
    with pytest.raises(IntakeError, match="pixels"):
        Media.open(bomb)
    with pytest.raises(IntakeError, match="decoded bytes"):
        Image(bomb, limits=Limits(pixels=10**10))


def test_the_limits_are_ours_and_not_those_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 4)
    assert Image(file(PIL.Image.new("L", (9, 9)))).width == 9
    with pytest.raises(IntakeError, match="81 pixels, the limit is 80"):
        Image(file(PIL.Image.new("L", (9, 9))), limits=Limits(pixels=80))
    with pytest.raises(IntakeError, match="the PIL image: 81 pixels"):
        Image(PIL.Image.new("L", (9, 9)), limits=Limits(pixels=80))


def test_what_holds_several_frames_is_no_picture() -> None:
    frames = [PIL.Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    for kind in ("GIF", "PNG", "WEBP", "TIFF"):
        with pytest.raises(IntakeError, match="several frames; open it with Video"):
            Image(file(frames[0], kind, save_all=True, append_images=frames[1:]))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "TIFF", "PPM", "GIF"])
def test_a_truncated_picture_is_refused(kind: str) -> None:
    data = file(PIL.Image.fromarray(np.random.default_rng(3).integers(0, 256, (64, 64, 3)).astype("uint8")), kind)
    with pytest.raises(IntakeError, match="damaged or truncated"):
        Image(data[: len(data) // 2])


def test_formats_that_run_programs_are_not_read() -> None:
    with pytest.raises(IntakeError, match="not a picture in a format that is read here"):
        Image(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")


def test_alpha_is_laid_on_white_where_a_format_has_none() -> None:
    clear = Image(np.array([[[255, 0, 0, 0], [0, 0, 255, 255]]], "uint8"))
    assert clear.rgb().tolist() == [[[255, 255, 255], [0, 0, 255]]]
    assert np.asarray(clear.pil("L"))[0, 0] == 255
    assert Image(clear.encode(".jpg")).channels == 3
    assert Image(clear.encode()) == clear


def test_sixteen_bits_are_rounded_to_eight() -> None:
    wide = (np.arange(256, dtype="uint32") * 257).astype("uint16").reshape(16, 16)
    assert np.array_equal(np.asarray(Image(wide).pil("L")).ravel(), np.arange(256))
    with pytest.raises(MediaError, match="mode L, RGB or RGBA"):
        Image(wide).pil("CMYK")


def test_rgb_of_an_rgb_picture_is_not_copied() -> None:
    picture = Image(COLOUR)
    assert np.shares_memory(picture.rgb(), picture.array)
