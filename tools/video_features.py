"""EfficientNet-lite0 as a video encoder: what the image encoder tells of frames, with when and where it is.

Shapes: F frames, a grid of G × G places, D features.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, cast

from mmagent import Card, Constraint, Embedding, Image, Tool, Video, load_tool
from mmagent.errors import CardError
from mmagent.fetch import weights
from mmagent.registry import registry
from mmagent.tool import Scalar

FRAMES = 8
States = Annotated[Embedding, Constraint(tokens=392, width=1283, space="efficientnet-lite0.grid.video")]


class VideoFeatures(
    Tool,
    name="video-features.v1",
    kind="encoder",
    cost=0.3,
    memory=45_000_000,
    needs=("extra:local", "weights:efficientnet-lite0"),
    weights=weights("efficientnet-lite0").digest,
):
    """Encode a video as features of so many frames, spread evenly over it (`image-features`, frame by frame).

    The last three features of each state say when and where it is: the time from -1 to 1, and down and across the grid.
    `pool` averages squares of so many places a side. Shorter videos show frames more than once.
    """

    def __init__(self, frames: int = FRAMES, side: int = 224, layer: int = -1, pool: int = 1) -> None:
        if frames < 1:
            raise CardError(f"video-features looks at 1 frame or more, not {frames}")
        self.frames, self.side, self.layer, self.pool = frames, side, layer, pool
        seen = registry.find("image-features").card_for({"side": side, "layer": layer}).outputs[0].constraints
        tokens, self.width, self._frame = cast("tuple[int, int, str]", (seen["tokens"], seen["width"], seen["space"]))
        self.grid = round(tokens**0.5)
        if pool < 1 or self.grid % pool:
            raise CardError(f"video-features has a grid of {self.grid} places a side, which {pool} does not divide")

    @classmethod
    def card_for(cls, settings: Mapping[str, Scalar]) -> Card:
        made = cast("VideoFeatures", cls.make(settings))
        told: dict[str, Scalar] = {
            "tokens": made.frames * (made.grid // made.pool) ** 2, "width": made.width + 3,
            "space": made.space,
        }  # fmt: skip
        (port,) = cls.card.outputs
        return replace(cls.card, outputs=(replace(port, constraints={**port.constraints, **told}),))

    @property
    def space(self) -> str:
        """The space of its states: settings that change what they mean are in its name."""
        own = f"{self.frames}.{self.pool}"
        return f"{self._frame}.video" + ("" if own == f"{FRAMES}.1" else f".{own}")

    def load(self) -> None:
        self._eye: Any = load_tool("image-features", side=self.side, layer=self.layer)

    def unload(self) -> None:
        self._eye.unload()
        del self._eye

    def run(self, video: Video) -> States:
        import numpy as np

        n_frames, n = len(video.array), self.grid // self.pool
        shown = [Image(video.array[(2 * at + 1) * n_frames // (2 * self.frames)]) for at in range(self.frames)]
        seen = np.stack([self._eye.run(frame).array for frame in shown])  # [F, G², D]
        seen = seen.reshape(self.frames, n, self.pool, n, self.pool, -1).mean(axis=(2, 4))  # [F, n, n, D]
        axes = [np.linspace(-1, 1, size) if size > 1 else np.zeros(1) for size in (self.frames, n, n)]
        placed = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)  # [F, n, n, 3]
        states = np.concatenate([seen, placed], axis=-1).reshape(self.frames * n * n, -1)
        return Embedding(states.astype("float32"), self.space)
