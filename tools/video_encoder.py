"""Video encoders as a tool: frames through any image encoder, one after the other in time, or VideoMAE over them all.

What it loads and how it runs is in `mmagent.checkpoint.vision`. Shapes: L states of width D, those of earlier frames
first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from mmagent import Card, Context, Embedding, Image, Tool, Video
from mmagent.checkpoint import described, vision
from mmagent.errors import ModelError
from mmagent.tool import Scalar


class VideoEncoder(Tool, name="video-encoder.v1", kind="encoder", cost=4.0, memory=350_000_000, needs=("extra:local",)):
    """Encode a video with a checkpoint: frames spread evenly over it through an image encoder, or VideoMAE.

    `model` is a folder or a hub id of anything that `image-encoder` takes, or of VideoMAE. `frames` are taken, each
    the middle one of its share, some of them twice if the video has fewer; without it 8, or as many as VideoMAE
    takes. The states of a frame follow those of the frame before: `frames` times what `output` means in
    `image-encoder`. Of VideoMAE `patches` are its tubelets, and `pooled` is their mean. `layer`, `space`, `pickle`
    and `revision` are as in `image-encoder`.
    """

    def __init__(
        self,
        model: str,
        output: vision.Output = "patches",
        frames: int | None = None,
        layer: int = -1,
        space: str = "",
        pickle: bool = False,
        revision: str = "",
    ) -> None:
        if frames is not None and frames < 1:
            raise ModelError(f"video-encoder: frames is at least 1, not {frames}")
        self.choice, self.frames = vision.Choice(model, output, layer, revision, pickle), frames
        self.space = space or self.choice.space

    @classmethod
    def card_for(cls, settings: Mapping[str, Scalar]) -> Card:
        tool = cast("VideoEncoder", cls.make(settings))
        found = vision.video_facts(tool.choice, tool.frames)
        return described(
            cls.card,
            (tool.choice.model, tool.choice.revision),
            made={"tokens": found.tokens, "width": found.width, "space": tool.space},
            memory=found.memory,
            cost=found.cost,
        )

    def load(self) -> None:
        self._tower = vision.load_video(self.choice, self.frames)

    def unload(self) -> None:
        del self._tower

    def run(self, video: Video, ctx: Context) -> Embedding:
        count, n_frames = self._tower.n_frames, len(video.array)
        frames = [Image(video.array[(2 * index + 1) * n_frames // (2 * count)]).pil() for index in range(count)]
        states, mask = self._tower.encode(frames, lambda done, total: ctx.progress(done, total, "frames"))
        return Embedding(states, self.space, mask)  # [L, D]
