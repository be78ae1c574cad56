"""EfficientNet-lite0 as an encoder of pictures and videos: grids of features that image tags and projectors start from.

The network is that of the published definition (Tan & Le 2019, arXiv:1905.11946, in its lite form: no squeeze
and excitation, ReLU6, stem and head unscaled). Parameters bear the names under which the weights were saved.
Shapes: B pictures, F frames, H × W pixels, L places of a G × G grid, D features; 49 of a 7 × 7 grid and 1280 unless told else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

from mmagent import Card, Constraint, Embedding, Image, MissingExtra, Tool, Video
from mmagent.errors import CardError
from mmagent.fetch import fetch, weights
from mmagent.tool import Scalar

if TYPE_CHECKING:
    import torch

SIDE = 224
SPACE = "efficientnet-lite0.grid"
# repeats, kernel, stride, expansion, channels in, channels out
BLOCKS = (
    (1, 3, 1, 1, 32, 16),
    (2, 3, 2, 6, 16, 24),
    (2, 5, 2, 6, 24, 40),
    (3, 3, 2, 6, 40, 80),
    (3, 5, 1, 6, 80, 112),
    (4, 5, 2, 6, 112, 192),
    (1, 3, 1, 6, 192, 320),
)
LAYERS = tuple(
    (stride, n_out)
    for stride, (repeats, *_, n_out) in zip((2, 4, 8, 16, 16, 32, 32), BLOCKS, strict=True)
    for _ in range(repeats)
)
"""Of each block, how many pixels lie between neighbouring places of the square, and the features of a place."""

Grid = Annotated[Embedding, Constraint(tokens=49, width=1280, space=SPACE)]


class ImageFeatures(
    Tool,
    name="image-features.v1",
    cost=0.06,
    memory=40_000_000,
    needs=("extra:local", "weights:efficientnet-lite0"),
    weights=weights("efficientnet-lite0").digest,
):
    """Encode a picture as 49 features of width 1280, row by row over a 7 × 7 grid (EfficientNet-lite0, ImageNet).

    `whole` squeezes all of the picture into the encoder's square, `centre` takes the middle 7/8 of the largest
    square in it, as the network's published scores do.

    `side` is that square's in pixels, a multiple of 32. `layer`: -1 the network's result, n what leaves the n-th of its
    16 blocks, each place scaled to a root mean square of 1, since no block ends in a norm. What small drawings show is
    told best by the middle: at their own size, 8 blocks keep colours apart that the last mixes.
    """

    def __init__(self, side: int = SIDE, layer: int = -1) -> None:
        if side < 32 or side % 32:
            raise CardError(f"image-features reads squares of a multiple of 32 pixels, not {side}")
        if layer not in (-1, *range(1, len(LAYERS) + 1)):
            raise CardError(f"image-features has layers 1 to {len(LAYERS)}, and -1 for its result, not {layer}")
        self.side, self.layer = side, layer
        self.stride, self.width = LAYERS[layer - 1] if layer > 0 else (32, 1280)
        self.space = SPACE if (side, layer) == (SIDE, -1) else f"{SPACE}.{side}.{layer}"

    @classmethod
    def card_for(cls, settings: Mapping[str, Scalar]) -> Card:
        made = cast("ImageFeatures", cls.make(settings))
        told: dict[str, Scalar] = {"tokens": (made.side // made.stride) ** 2, "width": made.width, "space": made.space}
        (port,) = cls.card.outputs
        return replace(cls.card, outputs=(replace(port, constraints={**port.constraints, **told}),))

    def load(self) -> None:
        try:
            import torch
            from safetensors.torch import load_file
        except ImportError as error:
            raise MissingExtra(error.name or "torch", "local", self.card.name) from error
        (path,) = fetch("efficientnet-lite0").glob("*.safetensors")
        state = load_file(path)
        self._network = _network()
        self._network.load_state_dict({name: value for name, value in state.items() if not name.startswith("_fc.")})
        self._network.eval().requires_grad_(False)
        self._torch = torch

    def unload(self) -> None:
        del self._network, self._torch

    def run(self, image: Image, view: Literal["whole", "centre"] = "whole") -> Grid:
        pixels = self._torch.from_numpy(_square(image, view, self.side))  # [H, W, 3]
        batch = pixels.permute(2, 0, 1)[None].sub(127.0).div(128.0)  # [1, 3, H, W]
        with self._torch.inference_mode():
            grid = self._network(batch, self.layer)  # [1, D, G, G]
            if self.layer > 0:
                grid = grid * grid.square().mean(dim=1, keepdim=True).add(1e-6).rsqrt()
        return Embedding(grid[0].flatten(1).T.numpy(), self.space)  # [L, D]


FRAMES = 8
OverTime = Annotated[Embedding, Constraint(tokens=392, width=1283, space=f"{SPACE}.video")]


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

    def __init__(self, frames: int = FRAMES, side: int = SIDE, layer: int = -1, pool: int = 1) -> None:
        if frames < 1:
            raise CardError(f"video-features looks at 1 frame or more, not {frames}")
        self.frames, self.pool, self.eye = frames, pool, ImageFeatures(side, layer)
        self.grid = side // self.eye.stride
        if pool < 1 or self.grid % pool:
            raise CardError(f"video-features has a grid of {self.grid} places a side, which {pool} does not divide")
        own = "" if (frames, pool) == (FRAMES, 1) else f".{frames}.{pool}"
        self.space = f"{self.eye.space}.video{own}"

    @classmethod
    def card_for(cls, settings: Mapping[str, Scalar]) -> Card:
        made = cast("VideoFeatures", cls.make(settings))
        told: dict[str, Scalar] = {
            "tokens": made.frames * (made.grid // made.pool) ** 2, "width": made.eye.width + 3, "space": made.space,
        }  # fmt: skip
        (port,) = cls.card.outputs
        return replace(cls.card, outputs=(replace(port, constraints={**port.constraints, **told}),))

    def load(self) -> None:
        self.eye.load()

    def unload(self) -> None:
        self.eye.unload()

    def run(self, video: Video) -> OverTime:
        import numpy as np

        n_frames, n = len(video.array), self.grid // self.pool
        shown = [Image(video.array[(2 * at + 1) * n_frames // (2 * self.frames)]) for at in range(self.frames)]
        seen = np.stack([self.eye.run(frame).array for frame in shown])  # [F, G², D]
        seen = seen.reshape(self.frames, n, self.pool, n, self.pool, -1).mean(axis=(2, 4))  # [F, n, n, D]
        axes = [np.linspace(-1, 1, size) if size > 1 else np.zeros(1) for size in (self.frames, n, n)]
        placed = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)  # [F, n, n, 3]
        states = np.concatenate([seen, placed], axis=-1).reshape(self.frames * n * n, -1)
        return Embedding(states.astype("float32"), self.space)


def _square(image: Image, view: str, side: int = SIDE) -> Any:
    """The view of the picture that the network sees, float32 `[side, side, 3]` in 0 … 255."""
    import numpy as np
    from PIL import Image as pil

    picture = image.pil("RGB")
    box = None
    if view == "centre":
        shown = min(picture.size) * SIDE / (SIDE + 32)
        left, top = (picture.width - shown) / 2, (picture.height - shown) / 2
        box = (left, top, left + shown, top + shown)
    squeezed = picture.resize((side, side), pil.Resampling.BICUBIC, box=box)
    return np.asarray(squeezed, dtype=np.float32)


def _network() -> torch.nn.Module:
    """The network up to its last feature map, with random weights."""
    from torch import Tensor, nn

    class Conv(nn.Conv2d):
        """A convolution padded as TensorFlow's SAME: where the stride leaves an odd pixel, it goes right and below."""

        def __init__(self, n_in: int, n_out: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
            super().__init__(n_in, n_out, kernel, stride, groups=groups, bias=False)
            before, after = (kernel - stride) // 2, (kernel - stride + 1) // 2
            self.around = (before, after, before, after) if kernel > 1 else (0, 0, 0, 0)

        def forward(self, x: Tensor) -> Tensor:
            return super().forward(nn.functional.pad(x, self.around))

    def norm(n: int) -> nn.Module:
        return nn.BatchNorm2d(n, eps=1e-3)

    class Block(nn.Module):
        """Inverted residual: widen 1 × 1, convolve each channel, narrow 1 × 1, add the input where shapes allow."""

        def __init__(self, kernel: int, stride: int, expansion: int, n_in: int, n_out: int) -> None:
            super().__init__()
            n_mid = n_in * expansion
            self.expand = expansion > 1
            if self.expand:
                self._expand_conv, self._bn0 = Conv(n_in, n_mid, 1), norm(n_mid)
            self._depthwise_conv, self._bn1 = Conv(n_mid, n_mid, kernel, stride, n_mid), norm(n_mid)
            self._project_conv, self._bn2 = Conv(n_mid, n_out, 1), norm(n_out)
            self.residual = stride == 1 and n_in == n_out

        def forward(self, x: Tensor) -> Tensor:
            wide = nn.functional.relu6(self._bn0(self._expand_conv(x))) if self.expand else x
            wide = nn.functional.relu6(self._bn1(self._depthwise_conv(wide)))
            narrow: Tensor = self._bn2(self._project_conv(wide))
            return narrow + x if self.residual else narrow

    class Features(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self._conv_stem, self._bn0 = Conv(3, 32, 3, 2), norm(32)
            self._blocks = nn.Sequential(*(
                Block(kernel, stride if first else 1, expansion, n_in if first else n_out, n_out)
                for repeats, kernel, stride, expansion, n_in, n_out in BLOCKS
                for first in [True] + [False] * (repeats - 1)
            ))  # fmt: skip
            self._conv_head, self._bn1 = Conv(320, 1280, 1), norm(1280)

        def forward(self, x: Tensor, layer: int = -1) -> Tensor:
            x = nn.functional.relu6(self._bn0(self._conv_stem(x)))  # [B, 32, 112, 112]
            if layer > 0:
                return cast("Tensor", self._blocks[:layer](x))
            x = self._blocks(x)  # [B, 320, 7, 7]
            return nn.functional.relu6(self._bn1(self._conv_head(x)))  # [B, D, 7, 7]

    return Features()
