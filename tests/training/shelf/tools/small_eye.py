"""An encoder of four states: the mean colour of each quarter of a picture, and where it is."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from mmagent import Constraint, Embedding, Image, tool


@tool(name="small-eye.v1", kind="encoder", weights="quarters")
def small_eye(image: Image) -> Annotated[Embedding, Constraint(tokens=4, width=7, space="small.quarters")]:
    """Look at the quarters of a picture."""
    pixels = image.rgb().astype("float32") / 255
    height, width = (side // 2 for side in pixels.shape[:2])
    quarters = [pixels[y : y + height, x : x + width] for y in (0, height) for x in (0, width)]
    colours = np.stack([quarter.mean(axis=(0, 1)) for quarter in quarters])  # [4, 3]
    return Embedding(np.concatenate([colours, np.eye(4, dtype="float32")], axis=1), "small.quarters")
