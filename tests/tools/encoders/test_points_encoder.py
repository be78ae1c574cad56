"""PointNet: computed once more by hand, and what must not change its result."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmagent import Points, Preset
from mmagent.conformance import check as conform
from mmagent.errors import MediaError, ModelError
from mmagent.registry import registry
from tests.tools.conftest import Listener
from tests.tools.encoders.checkpoints import card_of, loaded, threads
from tests.tools.encoders.families import (
    torch,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[np.float32]

TOOL = "points-encoder.v1"

Shape = Mapping[str, Any]

SHAPES: dict[str, Shape] = {
    "plain": {"input_transform": False, "normalize": False},
    "turning": {"channels": 6, "input_transform": True, "feature_transform": True},
    "default": {},
}


def module() -> Any:
    return importlib.import_module("mmagent.tools.points_encoder")


def save(shape: Shape, folder: Path, prefix: str = "") -> Path:
    """A checkpoint with random weights and statistics."""
    from safetensors.torch import save_file

    torch.manual_seed(0)
    folder.mkdir()
    state = module()._network(module().Shape(**shape)).state_dict()
    for name, tensor in state.items():
        if tensor.is_floating_point():
            tensor.uniform_(0.5, 1.5) if "running_var" in name else tensor.add_(torch.randn_like(tensor) * 0.1)
    save_file({prefix + name: tensor for name, tensor in state.items()}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_type": "pointnet", **shape}))
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("points")
    return {name: save(shape, root / name) for name, shape in SHAPES.items()}


@pytest.fixture(scope="module")
def whole(folders: dict[str, Path]) -> Any:
    return loaded(TOOL, model=str(folders["default"]))


def cloud(n_points: int = 50, channels: int = 3, seed: int = 0) -> Points:
    return Points(np.random.default_rng(seed).standard_normal((n_points, channels)).astype("f4"))


class ByHand:
    """The network as its paper has it, in numpy: each layer a matrix, then its batch's statistics."""

    def __init__(self, folder: Path) -> None:
        from safetensors.numpy import load_file

        self.state = load_file(folder / "model.safetensors")

    def layer(self, x: Array, name: str, norm: str, part: str = "", relu: bool = True) -> Array:
        get = self.state.__getitem__
        weight = get(f"{part}{name}.weight").reshape(len(get(f"{part}{name}.bias")), -1)
        x = x @ weight.T + get(f"{part}{name}.bias")
        spread = np.sqrt(get(f"{part}{norm}.running_var") + 1e-5)
        x = (x - get(f"{part}{norm}.running_mean")) / spread * get(f"{part}{norm}.weight") + get(f"{part}{norm}.bias")
        return np.maximum(x, 0) if relu else x

    def turn(self, x: Array, part: str, n_dims: int) -> Array:
        for number in (1, 2, 3):
            x = self.layer(x, f"conv{number}", f"bn{number}", part)
        whole = x.max(0, keepdims=True)
        whole = self.layer(self.layer(whole, "fc1", "bn4", part), "fc2", "bn5", part)
        matrix = whole @ self.state[f"{part}fc3.weight"].T + self.state[f"{part}fc3.bias"]
        return np.asarray(matrix.reshape(n_dims, n_dims) + np.eye(n_dims), "f4")

    def __call__(self, x: Array, shape: Shape) -> tuple[Array, Array]:
        if shape.get("normalize", True):
            places = x[:, :3] - x[:, :3].mean(0)
            x = np.concatenate([places / np.linalg.norm(places, axis=1).max(), x[:, 3:]], 1)
        if shape.get("input_transform", True):
            x = np.concatenate([x[:, :3] @ self.turn(x, "stn.", 3), x[:, 3:]], 1)
        local = self.layer(x, "conv1", "bn1")
        if shape.get("feature_transform", False):
            local = local @ self.turn(local, "fstn.", 64)
        whole = self.layer(self.layer(local, "conv2", "bn2"), "conv3", "bn3", relu=False).max(0)
        return local, whole


@pytest.mark.parametrize("name", SHAPES)
def test_it_is_the_published_network(folders: dict[str, Path], name: str) -> None:
    points = cloud(channels=int(SHAPES[name].get("channels", 3)))
    local, whole = ByHand(folders[name])(points.array, SHAPES[name])
    pooled = loaded(TOOL, model=str(folders[name])).run(points)
    states = loaded(TOOL, model=str(folders[name]), output="points").run(points)
    np.testing.assert_allclose(pooled.array[0], whole, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(states.array[:, :64], local, rtol=1e-3, atol=1e-3)
    assert np.array_equal(states.array[:, 64:], np.repeat(pooled.array, len(points.array), 0))


def test_a_processor_is_left_free(whole: Any) -> None:
    assert threads(whole._network, lambda: whole.run(cloud())) == {2}


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), n_points=st.integers(1, 200))
def test_the_order_of_points_does_not_matter(whole: Any, seed: int, n_points: int) -> None:
    points = cloud(n_points, seed=seed).array
    order = np.random.default_rng(seed).permutation(n_points)
    np.testing.assert_allclose(whole.run(Points(points)).array, whole.run(Points(points[order])).array, atol=1e-4)


@settings(max_examples=20, deadline=None)
@given(scale=st.floats(0.1, 10), shift=st.floats(-5, 5))
def test_nor_do_place_and_size_where_clouds_are_normalized(whole: Any, scale: float, shift: float) -> None:
    points = cloud().array
    np.testing.assert_allclose(
        whole.run(Points(points * scale + shift)).array, whole.run(Points(points)).array, atol=1e-3
    )


def test_points_that_are_there_twice_change_nothing(folders: dict[str, Path]) -> None:
    tool, points = loaded(TOOL, model=str(folders["plain"])), cloud().array
    twice = np.concatenate([points, points[:20]])
    np.testing.assert_allclose(tool.run(Points(twice)).array, tool.run(Points(points)).array, atol=1e-5)


def test_a_cloud_in_blocks_is_the_cloud_in_one(whole: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    points = cloud(1000)
    expected = whole.run(points).array
    monkeypatch.setattr(module(), "BLOCK", 64)
    np.testing.assert_allclose(whole.run(points).array, expected, atol=1e-5)


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("output", ["pooled", "points"])
def test_what_comes_out_is_what_the_card_declares(folders: dict[str, Path], name: str, output: str) -> None:
    asked = {"model": str(folders[name]), "output": output}
    (given_port,), (port,) = card_of(TOOL, **asked).inputs, card_of(TOOL, **asked).outputs
    channels = int(SHAPES[name].get("channels", 3))
    assert given_port.constraints == {"features": channels}
    facts = loaded(TOOL, **asked).run(cloud(channels=channels)).describe()
    assert {key: facts[key] for key in port.constraints} == dict(port.constraints)
    assert set(port.constraints) == {"width", "space"} | ({"tokens"} if output == "pooled" else set())


def test_it_keeps_the_promises_of_its_card(folders: dict[str, Path]) -> None:
    tool = Preset("small-pointnet", registry.find("points-encoder.v1"), {"model": str(folders["default"])})
    only = ("types", "determinism", "concurrency", "unload")
    findings = list(conform(tool, inputs={"points": [cloud(30), cloud(40, seed=1)]}, only=only))
    assert [str(item) for item in findings if item.status != "ok"] == []


def test_weights_of_a_classifier_are_taken_as_they_are(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = save(SHAPES["default"], tmp_path / "classifier", prefix="feat.")
    expected = loaded(TOOL, model=str(folders["default"])).run(cloud()).array
    assert np.array_equal(loaded(TOOL, model=str(folder)).run(cloud()).array, expected)


def test_pickled_weights_are_refused_unless_asked_for(folders: dict[str, Path], tmp_path: Path) -> None:
    from safetensors.torch import load_file

    folder = save(SHAPES["default"], tmp_path / "pickled")
    torch.save(load_file(folder / "model.safetensors"), folder / "model.pth")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="unpickling can run code"):
        loaded(TOOL, model=str(folder))
    expected = loaded(TOOL, model=str(folders["default"])).run(cloud()).array
    assert np.array_equal(loaded(TOOL, model=str(folder), pickle=True).run(cloud()).array, expected)


def test_what_does_not_fit_is_refused(folders: dict[str, Path], tmp_path: Path, whole: Any) -> None:
    with pytest.raises(MediaError, match="takes 3 numbers a point, not 6"):
        whole.run(cloud(channels=6))
    folder = save({}, tmp_path / "other")
    (folder / "config.json").write_text(json.dumps({"model_type": "pointnet", "channels": 6}))
    with pytest.raises(ModelError, match=r"2 parameters are missing or of another shape, stn\.conv1\.weight, conv1"):
        loaded(TOOL, model=str(folder))
    for fields, reason in (
        ({"model_type": "bert"}, "is of type bert"),
        ({"model_type": "pointnet", "channels": 2}, "3 or more"),
    ):
        (folder / "config.json").write_text(json.dumps(fields))
        with pytest.raises(ModelError, match=reason):
            card_of(TOOL, model=str(folder))


@settings(max_examples=15, deadline=None)
@given(sizes=st.lists(st.integers(1, 40), max_size=6), batch=st.integers(1, 4))
@pytest.mark.parametrize("output", ["pooled", "points"])
def test_clouds_together_give_what_each_gives_alone(
    folders: dict[str, Path], output: str, sizes: list[int], batch: int
) -> None:
    settings = {"model": str(folders["turning"]), "output": output}
    clouds = [cloud(size, channels=6, seed=seed) for seed, size in enumerate(sizes)]
    made = loaded("points-batch-encoder.v1", **settings).run(clouds, Listener(), batch=batch)
    for given_one, found in zip(clouds, made, strict=True):
        alone = loaded(TOOL, **settings).run(given_one)
        assert found.space == alone.space
        np.testing.assert_allclose(found.array, alone.array, atol=1e-4, rtol=1e-4)
