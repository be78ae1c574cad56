"""Video encoders as a tool: frames through any image encoder, one after the other in time, or one of whole videos.

What it loads and how it runs is in `mmagent.checkpoint.vision`. Shapes: L states of width D, those of earlier frames
first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, cast

from mmagent import Card, Context, Embedding, Image, Tool, Video
from mmagent.checkpoint import Dtype, described, in_batches, vision
from mmagent.errors import ModelError
from mmagent.tool import Scalar

if TYPE_CHECKING:
    import PIL.Image


class _Encoder(Tool, kind="encoder", cost=4.0, memory=350_000_000, needs=("extra:local",)):
    """What both tools have in common: the settings, the card that follows from them, and the loaded tower."""

    def __init__(
        self,
        model: str,
        output: vision.Output = "patches",
        frames: int | None = None,
        pool: int = 1,
        layer: int = -1,
        space: str = "",
        pickle: bool = False,
        revision: str = "",
        device: str = "cpu",
        dtype: Dtype = "auto",
    ) -> None:
        if frames is not None and frames < 1:
            raise ModelError(f"video-encoder: frames is at least 1, not {frames}")
        if pool < 1 or (pool > 1 and output != "patches"):
            raise ModelError(
                f"video-encoder: pool is 1 or more, and above 1 for patches alone; not {pool} for {output}"
            )
        self.choice, self.frames = vision.Choice(model, output, layer, revision, pickle, device, dtype), frames
        self.pool = pool
        self.space = space or self.choice.space

    @classmethod
    def card_for(cls, settings: Mapping[str, Scalar]) -> Card:
        tool = cast("_Encoder", cls.make(settings))
        found = vision.video_facts(tool.choice, tool.frames, tool.pool)
        return described(
            cls.card,
            (tool.choice.model, tool.choice.revision),
            made={"tokens": found.tokens, "width": found.width, "space": tool.space},
            memory=found.memory,
            cost=found.cost,
        )

    def load(self) -> None:
        self._tower = vision.load_video(self.choice, self.frames, self.pool)

    def unload(self) -> None:
        del self._tower

    def _encode(self, videos: Sequence[Video], progress: Callable[[int, int], None]) -> list[Embedding]:
        found = self._tower.encode([self._frames(video) for video in videos], progress)
        return [Embedding(states, self.space, mask) for states, mask in found]  # [L, D] each

    def _frames(self, video: Video) -> list[PIL.Image.Image]:
        """As many frames as the tower takes, each the middle one of its share."""
        count, n_frames = self._tower.n_frames, len(video.array)
        return [Image(video.array[(2 * index + 1) * n_frames // (2 * count)]).pil() for index in range(count)]


class VideoEncoder(_Encoder, name="video-encoder.v1"):
    """Encode a video with a checkpoint: frames spread evenly over it through an image encoder, or one of whole videos.

    `model` is a folder or a hub id of anything that `image-encoder` takes, or of VideoMAE, ViViT, TimeSformer or
    V-JEPA 2. `frames` are taken, each the middle one of its share, some of them twice if the video has fewer; without
    it 8, or as many as the model takes. The states of a frame follow those of the frame before: `frames` times what
    `output` means in `image-encoder`. `pool` × `pool` neighbouring patches of a frame become their mean, as LLaVA-NeXT
    (Zhang et al. 2024) pools videos; 2 gives a fourth of the states. Of encoders of whole videos `patches` are their tubelets, and `pooled` is their
    class token, where they have none the mean. `layer`, `space`, `pickle`, `revision`, `device` and `dtype` are as
    in `image-encoder`.
    """

    def run(self, video: Video, ctx: Context) -> Embedding:
        (made,) = self._encode([video], lambda done, total: ctx.progress(done, total, "frames"))
        return made


class VideoBatchEncoder(_Encoder, name="video-batch-encoder.v1", cost=16.0):
    """Encode videos with a checkpoint as `video-encoder` does, the frames of up to `batch` videos together.

    The embeddings are in the order of the videos. It differs from one video at a time by rounding alone.
    """

    def run(self, videos: list[Video], ctx: Context, batch: int = 4) -> list[Embedding]:
        return in_batches(videos, batch, lambda some: self._encode(some, lambda *_: ctx.check()), ctx, "video")
