"""PointNet as a points encoder: a vector for a cloud, or a state for each of its points, whatever their order.

The network is that of Qi et al. 2017 (arXiv:1612.00593) up to its classifier's first layer, in the shape in which
PyTorch implementations share their weights: convolutions 64, 128, 1024; no activation after the last. Parameters
bear the names common there (`conv1.weight`, `bn1.running_mean`, `stn.fc3.bias`, `fstn.conv2.weight` …), so that such
a state dict, saved as safetensors, is a checkpoint. Shapes: B clouds, N points, K numbers a point, D channels.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

from mmagent import Card, Context, Embedding, Points, Tool
from mmagent.checkpoint import (
    Dtype,
    array,
    config,
    described,
    forward,
    given,
    in_batches,
    load_tensors,
    loading,
    locate,
    placement,
    space_name,
)
from mmagent.errors import MediaError, ModelError
from mmagent.tool import Scalar

if TYPE_CHECKING:
    import torch

LOCAL, WHOLE = 64, 1024
BLOCK = 16_384
"""Points that go through the wide layers at once; the maximum over blocks is the maximum over all."""


class _Encoder(Tool, kind="encoder", cost=0.1, memory=15_000_000, needs=("extra:local",)):
    """What both tools have in common: the settings, the card that follows from them, and the loaded network."""

    def __init__(
        self,
        model: str,
        output: Literal["pooled", "points"] = "pooled",
        space: str = "",
        pickle: bool = False,
        revision: str = "",
        device: str = "cpu",
        dtype: Dtype = "auto",
    ) -> None:
        self.model, self.output, self.pickle, self.revision = model, output, pickle, revision
        self.device, self.dtype = device, dtype
        own = output if output != "pooled" else "points.pooled"
        self.space = space or space_name(model, own, revision=revision)

    @classmethod
    def card_for(cls, settings: Mapping[str, Scalar]) -> Card:
        asked = cast("_Encoder", cls.make(settings))
        shape = _shape(asked.model, asked.revision)
        whole = asked.output == "pooled"
        return described(
            cls.card,
            (asked.model, asked.revision),
            heard={"features": shape.channels if shape else None},
            made={
                "tokens": 1 if whole else None, "width": WHOLE if whole else LOCAL + WHOLE, "space": asked.space,
            },
        )  # fmt: skip

    def load(self) -> None:
        where = placement(self.device, self.dtype, f"model {self.model}")
        folder = locate(self.model, revision=self.revision)
        shape = _shape(self.model, self.revision)
        if shape is None:
            raise ModelError(f"{self.model} holds no config.json; see the page on encoders for what belongs in it")
        file = next((path for path in (folder / name for name in FILES) if path.is_file()), None)
        if file is None:
            raise ModelError(f"{folder} holds none of {', '.join(FILES)}; save the state dict as model.safetensors")
        tensors = load_tensors(file, pickle=self.pickle)
        state = {name.removeprefix("feat."): tensor.float() for name, tensor in tensors.items()}
        with loading():
            network = _network(shape)
        # Counts of batches matter to training alone, and classifiers have layers that are not the encoder's.
        needed = {name: own for name, own in network.state_dict().items() if not name.endswith("num_batches_tracked")}
        wrong = [name for name, own in needed.items() if name not in state or state[name].shape != own.shape]
        if wrong:
            raise ModelError(
                f"{file} is not the PointNet of its config.json: {len(wrong)} parameters are missing or of another "
                f"shape, {', '.join(wrong[:3])}"
            )
        network.load_state_dict({name: state[name] for name in needed}, strict=False)
        self._network, self._loaded = network.to(*where).eval().requires_grad_(False), shape

    def unload(self) -> None:
        del self._network, self._loaded

    def _encode(self, clouds: Sequence[Points]) -> list[Embedding]:
        import torch

        prepared = [self._prepared(cloud) for cloud in clouds]
        n_points = [cloud.shape[1] for cloud in prepared]
        # A cloud is filled up with copies of its last point, which change no maximum.
        fill = functools.partial(torch.nn.functional.pad, mode="replicate")
        filled = [fill(cloud, (0, max(n_points) - cloud.shape[1])) for cloud in prepared]
        with forward(self.model):
            inputs = given({"x": torch.stack(filled)}, self._network)  # [B, K, N]
            local, whole = self._network(**inputs)  # [B, 64, N], [B, 1024]
            if self.output == "pooled":
                return [Embedding(vector[None], self.space) for vector in array(whole)]
            states = array(torch.cat([local, whole[:, :, None].expand(-1, -1, local.shape[2])], dim=1).mT)
        return [Embedding(each[:n], self.space) for each, n in zip(states, n_points)]  # [N, 1088] each

    def _prepared(self, cloud: Points) -> torch.Tensor:
        import torch

        shape, found = self._loaded, cloud.array
        if found.shape[1] != shape.channels:
            raise MediaError(f"{self.model} takes {shape.channels} numbers a point, not {found.shape[1]}")
        return torch.tensor(_normal(found) if shape.normalize else found).T  # [K, N]


class PointsEncoder(_Encoder, name="points-encoder.v1"):
    """Encode a point cloud with a checkpoint of PointNet: `pooled`, one vector of 1024, or `points`, 1088 for each.

    `model` is a folder with a `config.json` (`model_type: pointnet`; `channels`: numbers a point, 3 for x y z;
    `input_transform`, `feature_transform`: whether it turns the cloud and its features; `normalize`: whether clouds
    were moved to the origin and scaled into the unit ball) and a `model.safetensors`. The states of `points` are
    the 64 features of the point and the 1024 of the whole. `space` names the space of the states; `pickle` allows
    weights that have to be unpickled; `device` and `dtype` are where the network runs, and in which precision.
    """

    def run(self, points: Points) -> Embedding:
        (made,) = self._encode([points])
        return made


class PointsBatchEncoder(_Encoder, name="points-batch-encoder.v1", cost=0.4):
    """Encode point clouds with a checkpoint as `points-encoder` does, `batch` of them going through it together.

    The embeddings are in the order of the clouds. It differs from one cloud at a time by rounding alone.
    """

    def run(self, points: list[Points], ctx: Context, batch: int = 16) -> list[Embedding]:
        return in_batches(points, batch, self._encode, ctx, "cloud", size=lambda cloud: len(cloud.array))


FILES = ("model.safetensors", "pytorch_model.bin", "model.pth", "model.pt")


@dataclass(frozen=True, slots=True)
class Shape:
    """What a `config.json` tells of a network."""

    channels: int = 3
    input_transform: bool = True
    feature_transform: bool = False
    normalize: bool = True


def _shape(model: str, revision: str) -> Shape | None:
    """The fields of the checkpoint's config, None while it is not here; ModelError if it is no PointNet."""
    fields = config(model, revision=revision)
    if fields is None:
        return None
    if fields.get("model_type") != "pointnet":
        raise ModelError(f"{model} is of type {fields.get('model_type')}; points-encoder takes pointnet")
    channels = fields.get("channels", 3)
    if not isinstance(channels, int) or channels < 3:
        raise ModelError(f"{model}: channels in config.json is the numbers a point, 3 or more, not {channels!r}")
    flags = {
        name: bool(fields[name]) for name in ("input_transform", "feature_transform", "normalize") if name in fields
    }
    return Shape(channels, **flags)


def _normal(cloud: Any) -> Any:
    """The cloud `[N, K]` moved so that its centre is the origin and scaled so that its farthest point is 1 away."""
    import numpy as np

    places = cloud[:, :3] - cloud[:, :3].mean(axis=0)
    farthest = float(np.linalg.norm(places, axis=1).max())
    return np.concatenate([places / (farthest or 1.0), cloud[:, 3:]], axis=1)


def _network(shape: Shape) -> torch.nn.Module:
    """The network with random weights."""
    import torch
    from torch import Tensor, nn

    relu = nn.functional.relu

    class Turn(nn.Module):
        """A matrix `[B, D, D]` by which a cloud `[B, D, N]` is turned, made of the cloud itself (the paper's T-Net)."""

        def __init__(self, n_in: int, n_dims: int) -> None:
            super().__init__()
            self.n_dims = n_dims
            self.conv1, self.conv2, self.conv3 = nn.Conv1d(n_in, 64, 1), nn.Conv1d(64, 128, 1), nn.Conv1d(128, WHOLE, 1)
            self.fc1, self.fc2, self.fc3 = nn.Linear(WHOLE, 512), nn.Linear(512, 256), nn.Linear(256, n_dims * n_dims)
            self.bn1, self.bn2, self.bn3 = nn.BatchNorm1d(64), nn.BatchNorm1d(128), nn.BatchNorm1d(WHOLE)
            self.bn4, self.bn5 = nn.BatchNorm1d(512), nn.BatchNorm1d(256)

        def features(self, x: Tensor) -> Tensor:
            x = relu(self.bn2(self.conv2(relu(self.bn1(self.conv1(x))))))
            return relu(self.bn3(self.conv3(x)))

        def forward(self, x: Tensor) -> Tensor:
            whole = _highest(self.features, x)
            whole = relu(self.bn5(self.fc2(relu(self.bn4(self.fc1(whole))))))
            matrix: Tensor = self.fc3(whole).view(-1, self.n_dims, self.n_dims)
            return matrix + torch.eye(self.n_dims, device=x.device, dtype=x.dtype)

    class PointNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            if shape.input_transform:
                self.stn = Turn(shape.channels, 3)
            if shape.feature_transform:
                self.fstn = Turn(LOCAL, LOCAL)
            self.conv1, self.bn1 = nn.Conv1d(shape.channels, LOCAL, 1), nn.BatchNorm1d(LOCAL)
            self.conv2, self.bn2 = nn.Conv1d(LOCAL, 128, 1), nn.BatchNorm1d(128)
            self.conv3, self.bn3 = nn.Conv1d(128, WHOLE, 1), nn.BatchNorm1d(WHOLE)

        def features(self, x: Tensor) -> Tensor:
            found: Tensor = self.bn3(self.conv3(relu(self.bn2(self.conv2(x)))))
            return found

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            if shape.input_transform:
                turned = (x[:, :3].transpose(1, 2) @ self.stn(x)).transpose(1, 2)
                x = torch.cat([turned, x[:, 3:]], dim=1)
            local = relu(self.bn1(self.conv1(x)))  # [B, 64, N]
            if shape.feature_transform:
                local = (local.transpose(1, 2) @ self.fstn(local)).transpose(1, 2)
            return local, _highest(self.features, local)

    return PointNet()


def _highest(features: Callable[[torch.Tensor], torch.Tensor], cloud: torch.Tensor) -> torch.Tensor:
    """The highest value of each feature over all points of `[B, D, N]`, a block of them at a time: `[B, 1024]`."""
    blocks = (features(cloud[:, :, start : start + BLOCK]).amax(dim=2) for start in range(0, cloud.shape[2], BLOCK))
    return functools.reduce(lambda highest, found: highest.maximum(found), blocks)
