"""Pictures made larger."""

from __future__ import annotations

from typing import Literal

from mmagent import Image, tool


@tool(name="upscale.v1", kind="converter", cost=0.02, lossy=True)
def upscale(image: Image, factor: int = 2, by: Literal["lanczos", "nearest"] = "lanczos") -> Image:
    """Make a picture `factor` times as wide and as high; alpha and grey stay, 16 bits become 8.

    `lanczos` is smooth, `nearest` repeats each pixel. Nothing is added that was not there, and a route never needs
    it, so it is marked lossy: none puts it in silently.
    """
    if factor < 1:
        raise ValueError(f"upscale: factor is 1 or more, not {factor}")
    if factor == 1:
        return image
    import numpy as np
    from PIL import Image as pil

    picture = image.pil({1: "L", 3: "RGB", 4: "RGBA"}[image.channels])
    how = pil.Resampling.LANCZOS if by == "lanczos" else pil.Resampling.NEAREST
    return Image(np.asarray(picture.resize((factor * image.width, factor * image.height), how)))
