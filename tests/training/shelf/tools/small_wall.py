"""An encoder that sees the same in every picture."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from mmagent import Constraint, Embedding, Image, tool


@tool(name="small-wall.v1", kind="encoder", weights="none")
def small_wall(image: Image) -> Annotated[Embedding, Constraint(tokens=4, width=7, space="small.quarters")]:
    """Look at nothing."""
    return Embedding(np.ones((4, 7), "float32"), "small.quarters")
