"""Pictures of another size."""

from __future__ import annotations

from typing import Annotated, Literal

from mmagent import Constraint, Image, tool


@tool(name="resize.v1", kind="converter", cost=0.02, lossy=True)
def resize(
    image: Image, width: int = 224, height: int = 224, fit: Literal["contain", "cover", "stretch"] = "contain"
) -> Annotated[Image, Constraint(width="$width", height="$height")]:
    """Resize a picture to exactly `width` × `height` pixels (Lanczos); alpha and grey stay, 16 bits become 8.

    `contain` keeps all of it and fills the rest with black (transparent where it has alpha), `cover` fills the
    size and cuts off what overhangs, `stretch` gives up its proportions. Which of them is harmless only the
    author of a graph knows, so it is marked lossy: no route puts it in silently.
    """
    if width < 1 or height < 1:
        raise ValueError(f"resize: width and height are at least 1 pixel, not {width} × {height}")
    if (image.width, image.height) == (width, height):
        return image
    import numpy as np
    from PIL import Image as pil
    from PIL import ImageOps

    picture = image.pil({1: "L", 3: "RGB", 4: "RGBA"}[image.channels])
    size, lanczos = (width, height), pil.Resampling.LANCZOS
    if fit == "contain":
        picture = ImageOps.pad(picture, size, lanczos, color=0 if image.channels == 1 else (0,) * image.channels)
    elif fit == "cover":
        picture = ImageOps.fit(picture, size, lanczos)
    else:
        picture = picture.resize(size, lanczos)
    return Image(np.asarray(picture))
