"""Image encoders of transformers and OpenCLIP as tools: CLIP, SigLIP, DINOv2, ViT, BEiT and any like them.

One tool takes a picture, the other a list of them, which go through the network together. What they load and how it
runs is in `mmagent.checkpoint.vision`. Shapes: L states of width D.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from mmagent import Card, Context, Embedding, Image, Tool
from mmagent.checkpoint import Dtype, described, in_batches, vision
from mmagent.tool import Scalar


class _Encoder(Tool, kind="encoder", cost=0.5, memory=350_000_000, needs=("extra:local",)):
    """What both tools have in common: the settings, the card that follows from them, and the loaded tower."""

    def __init__(
        self,
        model: str,
        output: vision.Output = "patches",
        layer: int = -1,
        space: str = "",
        pickle: bool = False,
        revision: str = "",
        device: str = "cpu",
        dtype: Dtype = "auto",
    ) -> None:
        self.choice = vision.Choice(model, output, layer, revision, pickle, device, dtype)
        self.space = space or self.choice.space

    @classmethod
    def card_for(cls, settings: Mapping[str, Scalar]) -> Card:
        tool = cast("_Encoder", cls.make(settings))
        found = vision.facts(tool.choice)
        return described(
            cls.card,
            (tool.choice.model, tool.choice.revision),
            made={"tokens": found.tokens, "width": found.width, "space": tool.space},
            memory=found.memory,
            cost=found.cost,
        )

    def load(self) -> None:
        self._tower = vision.Tower.load(self.choice)

    def unload(self) -> None:
        del self._tower

    def _encode(self, images: Sequence[Image]) -> list[Embedding]:
        found = self._tower.encode([image.pil() for image in images])
        return [Embedding(states, self.space, mask) for states, mask in found]  # [L, D] each


class ImageEncoder(_Encoder, name="image-encoder.v1"):
    """Encode a picture with a checkpoint of transformers or OpenCLIP.

    `model` is a folder or a hub id with an image processor in it. `output`: `patches`, the states of the patches
    row by row; `all`, class and register tokens before them; `cls`, the class token's; `pooled`, the model's own
    vector; `projected`, that vector in the space shared with its text encoder. `layer`: -1 the result, after the
    final norm where the model has one, 0 what enters the first layer, n what leaves the n-th. `space` names the
    space of the states; `pickle` allows weights that have to be unpickled; `device` and `dtype` are where the model
    runs, and in which precision.
    """

    def run(self, image: Image) -> Embedding:
        (made,) = self._encode([image])
        return made


class ImageBatchEncoder(_Encoder, name="image-batch-encoder.v1", cost=2.0):
    """Encode pictures with a checkpoint as `image-encoder` does, `batch` of them going through it together.

    The embeddings are in the order of the pictures. It differs from one picture at a time by rounding alone.
    """

    def run(self, images: list[Image], ctx: Context, batch: int = 16) -> list[Embedding]:
        return in_batches(images, batch, self._encode, ctx, "picture")
