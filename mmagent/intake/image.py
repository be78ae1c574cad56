"""Pictures: files and arrays to uint8 or uint16 `[H, W, C]`, upright, and back.

Read: PNG, JPEG, WebP, GIF (still), BMP, TIFF, PNM, AVIF. Colour profiles are not applied. 16-bit grey is kept
in PNG, TIFF and PNM; 16-bit colour in PNG, and refused elsewhere, where Pillow would narrow it silently.
"""

from __future__ import annotations

import io
import struct
import sys
from typing import TYPE_CHECKING, Any

from mmagent.errors import IntakeError, MediaError
from mmagent.intake import gif, png16
from mmagent.intake.limits import DEFAULT, Limits
from mmagent.intake.source import NAMELESS, read

if TYPE_CHECKING:
    import numpy as np
    import PIL.Image
    import PIL.ImageFile

    Array = np.ndarray[Any, np.dtype[Any]]

# Others that Pillow knows run programs (EPS) or are nobody's pictures, and would widen the door.
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF")
_QUALITY = 92
_ORIENTATION = 0x0112


def pixels(source: object, limits: Limits | None = None) -> Array:
    """The pixels `[H, W, C]` of a path, bytes, data URI, PIL image, or array `[H, W]` or `[H, W, C]`.

    A PIL image is turned as its EXIF orientation says, as its file would be; who has turned it by hand drops that.
    """
    import numpy as np

    pillow = sys.modules.get("PIL.Image")  # without it loaded there is no PIL image to be given
    if pillow is not None and isinstance(source, pillow.Image):
        (limits or DEFAULT).check("pixels", source.width * source.height, "the PIL image")
        return _upright(_array(source), _orientation(source))
    if isinstance(source, np.ndarray) or hasattr(source, "__array__"):
        return _checked(np.asarray(source))
    found = read(source, limits=limits)
    return decode(found.data, found.name, limits)


def _checked(array: Array) -> Array:
    if array.ndim == 2:
        array = array[:, :, None]
    if array.dtype.kind == "f":
        raise MediaError(f"an Image is uint8 or uint16, not {array.dtype}; give (array * 255).round().astype('uint8')")
    if array.dtype not in ("uint8", "uint16"):
        raise MediaError(
            f"an Image is uint8 or uint16, not {array.dtype}; bring the values into range, then .astype('uint8')"
        )
    if array.ndim == 3 and array.shape[2] not in (1, 3, 4) and array.shape[0] in (1, 3, 4):
        raise MediaError(f"an Image is [H, W, C], not [C, H, W] {array.shape}; give array.transpose(1, 2, 0)")
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or not array.size:
        raise MediaError(f"an Image is [H, W] or [H, W, C] with C 1, 3 or 4 and no empty side; got {array.shape}")
    return array


def decode(data: bytes, name: str = "", limits: Limits | None = None) -> Array:
    """The pixels `[H, W, C]` of a picture file; its size is checked before it is decoded."""
    name, bounds = name or NAMELESS, limits or DEFAULT
    bounds.check("file_bytes", len(data), name)
    try:
        picture = open_picture(data, name, bounds)
        if getattr(picture, "is_animated", False) and picture.format in ("GIF", "PNG", "WEBP", "AVIF", "TIFF"):
            raise IntakeError(f"{name}: holds several frames; open it with Video, or save the frame you want")
        if png16.is_wide(picture):
            if picture.format != "PNG":
                raise IntakeError(f"{name}: 16-bit colour is read from PNG only; convert it to PNG")
            key = picture.info.get("transparency")
            array = _keyed(png16.decode(picture, open_picture(data, name, bounds)), key)
        else:
            picture.load()
            array = _array(picture)
        return _upright(array, _orientation(picture))
    except (IntakeError, MemoryError):
        raise
    except MediaError as error:
        raise IntakeError(f"{name}: {error}") from None
    except Exception as error:  # Pillow's plugins raise whatever a damaged file makes them stumble over
        raise IntakeError(f"{name}: the picture is damaged or truncated; export it again as PNG or JPEG") from error


def open_picture(data: bytes, name: str, limits: Limits) -> PIL.ImageFile.ImageFile:
    """A picture file, opened but not decoded, with its size checked.

    The plugin is called directly: PIL.Image.open has a limit of its own, global to the process.
    """
    import PIL.Image

    if data.startswith(b"GIF8"):
        # Pillow grows the picture while it decodes, when a frame reaches beyond the canvas.
        for right, bottom in gif.extents(data):
            limits.check("pixels", right * bottom, name)
            limits.check("decoded_bytes", right * bottom * 8, name)
    PIL.Image.init()
    for known in _FORMATS:
        factory, accept = PIL.Image.OPEN.get(known, (None, None))
        if factory is not None and accept is not None and accept(data[:16]) is True:
            picture = factory(io.BytesIO(data), "")
            limits.check("pixels", picture.width * picture.height, name)
            limits.check("decoded_bytes", picture.width * picture.height * 8, name)
            return picture
    raise IntakeError(f"{name}: not a picture in a format that is read here ({', '.join(_FORMATS)}); convert it to PNG")


def _array(picture: PIL.Image.Image) -> Array:
    """`[H, W, C]` of a PIL image of any mode; palettes, 1 bit, CMYK and the like become RGB, RGBA or grey."""
    import numpy as np

    mode, transparent = picture.mode, "transparency" in picture.info
    if mode.startswith("I;16"):
        return _keyed(np.asarray(picture).astype("uint16")[:, :, None], picture.info.get("transparency"))
    if mode == "I":
        wide = np.asarray(picture)
        if wide.min() < 0 or wide.max() > 65535:
            raise MediaError("32-bit pixels do not fit an Image of 8 or 16 bits; scale them to uint16 first")
        return wide.astype("uint16")[:, :, None]
    if mode == "F":
        raise MediaError("float pixels do not fit an Image of 8 or 16 bits; scale them to uint8 or uint16 first")
    if transparent or mode in ("LA", "La", "PA", "RGBa"):
        picture = picture.convert("RGBA")
    elif mode == "1":
        picture = picture.convert("L")
    elif mode not in ("L", "RGB", "RGBA"):
        picture = picture.convert("RGB")
    array = np.asarray(picture)
    return array[:, :, None] if array.ndim == 2 else array


def _keyed(array: Array, key: object) -> Array:
    """Give a uint16 picture the alpha that its one transparent colour (PNG's tRNS) stands for."""
    import numpy as np

    if not isinstance(key, (int, tuple)):
        return array
    clear = (array == np.asarray(key)).all(axis=-1, keepdims=True)  # [H, W, 1]
    colour = array[..., :3] if array.shape[2] > 1 else array.repeat(3, axis=2)
    return np.concatenate([colour, np.where(clear, 0, 65535).astype("uint16")], axis=-1)


def _orientation(picture: PIL.Image.Image) -> object:
    """The EXIF orientation of a picture that is loaded: until then TIFF has one that loading applies."""
    try:
        return picture.getexif().get(_ORIENTATION, 1)
    except (SyntaxError, ValueError, struct.error):  # so Pillow says that the EXIF data is damaged; the pixels are not
        return 1


def _upright(array: Array, orientation: object) -> Array:
    """Turn the picture as its EXIF orientation (1 to 8) says."""
    import numpy as np

    if orientation in (2, 5):
        array = array[:, ::-1]
    elif orientation in (4, 7):
        array = array[::-1]
    turns = {3: 2, 5: 1, 6: 3, 7: 1, 8: 1}.get(orientation, 0) if isinstance(orientation, int) else 0
    return np.rot90(array, turns) if turns else array


def encode(array: Array, suffix: str) -> bytes:
    """The picture as a file: `.png` exactly; `.jpg` (alpha laid on white) and `.webp` with 8 bits and loss."""
    suffix = suffix.lower()
    if suffix == ".png" and array.dtype == "uint16":
        return png16.encode(array)
    file = io.BytesIO()
    grey = array.shape[2] == 1
    if suffix == ".png":
        to_pil(array, {1: "L", 3: "RGB", 4: "RGBA"}[array.shape[2]]).save(file, "PNG")
    elif suffix in (".jpg", ".jpeg"):
        to_pil(array, "L" if grey else "RGB").save(file, "JPEG", quality=_QUALITY)
    elif suffix == ".webp":
        to_pil(array, "RGBA" if array.shape[2] == 4 else "RGB").save(file, "WEBP", quality=_QUALITY)
    else:
        raise MediaError(f"an Image cannot be written as {suffix!r}; use .png, .webp, .jpg")
    return file.getvalue()


def to_pil(array: Array, mode: str = "RGB") -> PIL.Image.Image:
    """The picture as a PIL image, 16 bits rounded to 8; RGB and L show what is transparent as white."""
    import PIL.Image

    if mode not in ("L", "RGB", "RGBA"):
        raise MediaError(f"an Image becomes a PIL image of mode L, RGB or RGBA, not {mode!r}; convert it from there")
    if array.dtype == "uint16":
        array = ((array.astype("uint32") + 128) // 257).astype("uint8")
    picture = PIL.Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)
    if picture.mode == "RGBA" and mode != "RGBA":
        white = PIL.Image.new("RGBA", picture.size, "white")
        picture = PIL.Image.alpha_composite(white, picture)
    return picture if picture.mode == mode else picture.convert(mode)


def shrink(array: Array, edge: int) -> Array:
    """The picture with its longer side at most `edge` pixels, 8 bits; for showing, not for computing."""
    import numpy as np

    picture = to_pil(array, "RGBA" if array.shape[2] == 4 else "RGB")
    picture.thumbnail((edge, edge))
    return np.asarray(picture)
