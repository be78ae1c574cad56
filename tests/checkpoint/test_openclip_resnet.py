"""CLIP's ResNets in OpenCLIP's folders, built small, against the published arithmetic; and how pictures are fitted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as pil

from mmagent.checkpoint import vision
from mmagent.checkpoint.vision.fitting import Fitting
from mmagent.errors import ModelError

torch: Any = pytest.importorskip("torch")
pytest.importorskip("transformers")
F: Any = torch.nn.functional

DEPTHS, WIDTH, SIDE, HEAD, OUT = (2, 1, 1, 1), 4, 64, 16, 12


def state() -> dict[str, Any]:
    """Random weights and statistics under OpenCLIP's names, as its own module would save them."""
    draw, found = torch.Generator().manual_seed(0), dict[str, Any]()

    def conv(name: str, norm: str, n_in: int, n_out: int, size: int) -> None:
        found[f"{name}.weight"] = torch.randn(n_out, n_in, size, size, generator=draw) / (n_in * size * size) ** 0.5
        for part, low in (("weight", 0.5), ("bias", -0.5), ("running_mean", -0.5), ("running_var", 0.5)):
            found[f"{norm}.{part}"] = torch.rand(n_out, generator=draw) + low
        found[f"{norm}.num_batches_tracked"] = torch.tensor(7)

    for number, (n_in, n_out) in enumerate(((3, WIDTH // 2), (WIDTH // 2, WIDTH // 2), (WIDTH // 2, WIDTH)), 1):
        conv(f"conv{number}", f"bn{number}", n_in, n_out, 3)
    entering = WIDTH
    for stage, depth in enumerate(DEPTHS):
        inside = WIDTH * 2**stage
        for block in range(depth):
            at = f"layer{stage + 1}.{block}"
            conv(f"{at}.conv1", f"{at}.bn1", entering, inside, 1)
            conv(f"{at}.conv2", f"{at}.bn2", inside, inside, 3)
            conv(f"{at}.conv3", f"{at}.bn3", inside, 4 * inside, 1)
            if block == 0:
                conv(f"{at}.downsample.0", f"{at}.downsample.1", entering, 4 * inside, 1)
            entering = 4 * inside
    places = (SIDE // 32) ** 2 + 1
    found["attnpool.positional_embedding"] = torch.randn(places, entering, generator=draw)
    for name, n_out in (("q_proj", entering), ("k_proj", entering), ("v_proj", entering), ("c_proj", OUT)):
        found[f"attnpool.{name}.weight"] = torch.randn(n_out, entering, generator=draw) / entering**0.5
        found[f"attnpool.{name}.bias"] = torch.randn(n_out, generator=draw)
    return found


def by_hand(state: dict[str, Any], x: Any) -> tuple[list[Any], Any]:
    """What enters the first stage and leaves each, then the projected vector: call by call as it was published."""

    def conv(x: Any, name: str, norm: str, stride: int = 1, pad: int = 0) -> Any:
        x = F.conv2d(x, state[f"{name}.weight"], stride=stride, padding=pad)
        return F.batch_norm(x, *(state[f"{norm}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")))

    for number in (1, 2, 3):
        x = conv(x, f"conv{number}", f"bn{number}", 2 if number == 1 else 1, 1).relu()
    states = [x := F.avg_pool2d(x, 2)]
    for stage, depth in enumerate(DEPTHS):
        for block in range(depth):
            at, stride = f"layer{stage + 1}.{block}", 2 if stage and not block else 1
            inside = conv(conv(x, f"{at}.conv1", f"{at}.bn1").relu(), f"{at}.conv2", f"{at}.bn2", pad=1).relu()
            inside = conv(F.avg_pool2d(inside, stride), f"{at}.conv3", f"{at}.bn3")
            x = x if block else conv(F.avg_pool2d(x, stride), f"{at}.downsample.0", f"{at}.downsample.1")
            x = (inside + x).relu()
        states.append(x)
    tokens = x.flatten(2).permute(2, 0, 1)
    tokens = torch.cat([tokens.mean(0, keepdim=True), tokens]) + state["attnpool.positional_embedding"][:, None]
    get = {name: state[f"attnpool.{name}_proj.weight"] for name in "qkvc"}
    bias = {name: state[f"attnpool.{name}_proj.bias"] for name in "qkvc"}
    vector, _ = F.multi_head_attention_forward(
        tokens, tokens, tokens, tokens.shape[-1], tokens.shape[-1] // HEAD, None, torch.cat([bias[name] for name in "qkv"]),
        None, None, False, 0.0, get["c"], bias["c"], training=False, need_weights=False,
        use_separate_proj_weight=True, q_proj_weight=get["q"], k_proj_weight=get["k"], v_proj_weight=get["v"],
    )  # fmt: skip
    return states, vector[0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("resnet") / "rn")


def save(folder: Path, **preprocess: object) -> Path:
    """An OpenCLIP folder of a small ResNet."""
    from safetensors.torch import save_file

    folder.mkdir()
    shape = {"image_size": SIDE, "layers": list(DEPTHS), "width": WIDTH, "head_width": HEAD, "patch_size": None}
    told = {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4], **preprocess}
    config = {"model_cfg": {"embed_dim": OUT, "vision_cfg": shape, "text_cfg": {}}, "preprocess_cfg": told}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    tensors = {f"visual.{name}": value for name, value in state().items()}
    save_file({**tensors, "logit_scale": torch.zeros(1)}, folder / "open_clip_model.safetensors")
    return folder


def picture(height: int = SIDE, width: int = SIDE, seed: int = 0) -> pil.Image:
    return pil.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), "uint8"))


def pixels(image: pil.Image) -> Any:
    values = torch.from_numpy(np.asarray(image, "float32") / 255).permute(2, 0, 1)
    mean, std = (torch.tensor(item).view(3, 1, 1) for item in ([0.5, 0.4, 0.3], [0.2, 0.3, 0.4]))
    return ((values - mean) / std)[None]  # [1, 3, H, W]


def encoded(folder: Path, output: vision.Output, layer: int = -1, image: pil.Image | None = None) -> Any:
    tower = vision.Tower.load(vision.Choice(str(folder), output, layer))
    ((found, mask),) = tower.encode([image or picture()])
    assert mask is None
    return found


def test_every_stage_and_the_projected_vector_are_the_published_ones(folder: Path) -> None:
    states, projected = by_hand(state(), pixels(picture()))
    for layer, expected in enumerate(states):
        np.testing.assert_allclose(encoded(folder, "patches", layer), expected[0].flatten(1).T, atol=1e-4, rtol=1e-4)
    np.testing.assert_allclose(encoded(folder, "projected"), projected, atol=1e-4, rtol=1e-4)
    own = state()
    by_c = encoded(folder, "pooled") @ own["attnpool.c_proj.weight"].numpy().T + own["attnpool.c_proj.bias"].numpy()
    np.testing.assert_allclose(by_c, projected, atol=1e-4, rtol=1e-4)


def test_its_config_tells_tokens_and_width(folder: Path) -> None:
    expected: dict[vision.Output, tuple[int, int]] = {
        "patches": (4, 128), "all": (4, 128), "pooled": (1, 128), "projected": (1, OUT),
    }  # fmt: skip
    for output, known in expected.items():
        found = vision.facts(vision.Choice(str(folder), output))
        assert (found.tokens, found.width) == known == encoded(folder, output).shape
    inner = vision.facts(vision.Choice(str(folder), "patches", 1))
    assert (inner.tokens, inner.width) == (None, None)
    with pytest.raises(ModelError, match="has no class token; take pooled"):
        vision.facts(vision.Choice(str(folder), "cls"))
    with pytest.raises(ModelError, match="has 4 layers; layer is -5 … 4, not 5"):
        encoded(folder, "patches", 5)


def test_weights_of_another_depth_are_named(folder: Path, tmp_path: Path) -> None:
    other = save(tmp_path / "other")
    config = json.loads((other / "open_clip_config.json").read_text())
    config["model_cfg"]["vision_cfg"]["layers"] = [2, 1, 1, 2]
    (other / "open_clip_config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"does not fit its open_clip_config\.json: Missing key"):
        encoded(other, "patches")


def test_the_longest_side_fits_and_the_rest_is_filled_up(folder: Path, tmp_path: Path) -> None:
    longest = save(tmp_path / "longest", resize_mode="longest", fill_color=9)
    wide = picture(40, 128)
    whole = pil.new("RGB", (SIDE, SIDE), (9, 9, 9))
    whole.paste(wide.resize((SIDE, 20), pil.Resampling.BICUBIC), (0, 22))
    assert np.array_equal(encoded(longest, "patches", image=wide), encoded(folder, "patches", image=whole))


@given(
    width=st.integers(1, 90), height=st.integers(1, 90), box=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    mode=st.sampled_from(["shortest", "longest", "squash"]),
)  # fmt: skip
def test_every_picture_becomes_one_of_the_size_asked_for(
    width: int, height: int, box: tuple[int, int], mode: str
) -> None:
    fitted = Fitting(*box, mode, fill=200)(pil.new("L", (width, height), 10))
    assert fitted.size == box[::-1]
    shades = np.asarray(fitted)
    assert set(np.unique(shades)) <= {10, 200}
    rows, columns = (shades == 10).any(1).sum(), (shades == 10).any(0).sum()
    assert (rows, columns) == box if mode != "longest" else (rows == box[0] or columns == box[1])


def test_a_mode_that_is_not_known_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"resize_mode in its open_clip_config\.json is shortest, longest or squash"):
        encoded(save(tmp_path / "rn", resize_mode="stretch"), "patches")
