"""A generator of one colour that can be trained towards: every prompt has a conditioning of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any
from zlib import crc32

import numpy as np

from mmagent import Constraint, Embedding, Image, Text, Tool

Strokes = Annotated[Embedding, Constraint(tokens=3, width=5, space="small.strokes")]


class SmallBrush(Tool, name="small-brush.v1", kind="generator", either=("prompt", "strokes"), weights="letters"):
    """Paint a square in the colour that the conditioning begins with."""

    def load(self) -> None:
        self._width = 5

    def run(self, prompt: Text | None = None, strokes: Strokes | None = None) -> Image:
        states = self.condition([prompt.text])[0].array if prompt else strokes.array if strokes else None
        assert states is not None
        return Image(np.broadcast_to(np.clip(states[0, :3] * 255, 0, 255).astype("uint8"), (8, 8, 3)).copy())

    def condition(self, texts: Sequence[str]) -> list[Embedding]:
        drawn = [np.random.default_rng(crc32(text.encode())).normal(size=(3, self._width)) for text in texts]
        return [Embedding(states.astype("float32"), "small.strokes") for states in drawn]

    def null(self) -> Embedding:
        return Embedding(np.full((3, 5), 0.25, "float32"), "small.strokes")

    def loss(
        self, states: Any, media: Sequence[Any], *, generator: Any, mask: Any = None, pooled: Any = None,
        snr_gamma: float | None = None,
    ) -> Any:  # fmt: skip
        import torch

        colours = torch.stack([torch.tensor(picture.rgb().mean(axis=(0, 1)) / 255) for picture in media])  # [B, 3]
        noise = 0.01 * torch.randn(colours.shape, generator=generator)
        return (states[:, 0, :3] - colours.float() - noise).square().mean()
