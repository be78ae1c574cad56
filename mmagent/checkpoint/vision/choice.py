"""What a user chooses of an image encoder: the checkpoint, the layer, and which of its states."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from mmagent.checkpoint.describing import space_name
from mmagent.checkpoint.placement import Dtype
from mmagent.errors import ModelError

Output = Literal["patches", "all", "cls", "pooled", "projected"]
"""`patches`: the states of the patches, row by row. `all`: class and register tokens before them. `cls`: the class
token's. `pooled`: the one vector that the model itself makes of a picture. `projected`: that vector in the space
which the model shares with its text encoder."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A checkpoint, which of its layers (-1: the result, after the final norm where there is one) and which states.

    `device` and `dtype` are where and in which precision it runs, see `placement`.
    """

    model: str
    output: Output = "patches"
    layer: int = -1
    revision: str = ""
    pickle: bool = False
    device: str = "cpu"
    dtype: Dtype = "auto"

    def __post_init__(self) -> None:
        if self.output not in get_args(Output):
            raise ModelError(f"output is one of {', '.join(get_args(Output))}, not {self.output!r}")
        if self.output in ("pooled", "projected") and self.layer != -1:
            raise ModelError(
                f"output {self.output} is made of the last layer; leave layer at -1, or take patches or cls"
            )

    @property
    def space(self) -> str:
        """The name of the space that the states live in, unless the user gives another."""
        own = self.output if self.output != "pooled" else "image.pooled"  # a model may pool text too, into another
        return space_name(self.model, own, self.layer, self.revision)
