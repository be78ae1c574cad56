"""OpenCLIP's folders, built small and saved as OpenCLIP does, against its architecture layer by layer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image as pil

from mmagent.checkpoint import vision
from mmagent.errors import ModelError

if TYPE_CHECKING:
    import torch
else:
    torch = pytest.importorskip("torch")
pytest.importorskip("transformers")


class Block(torch.nn.Module):
    """A residual attention block as OpenCLIP has it, by the names of its parameters."""

    def __init__(self, width: int, heads: int, activation: Callable[[Any], Any]) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = torch.nn.LayerNorm(width), torch.nn.LayerNorm(width)
        self.attn = torch.nn.MultiheadAttention(width, heads, batch_first=True)
        self.mlp = torch.nn.ModuleDict(
            {"c_fc": torch.nn.Linear(width, width * 4), "c_proj": torch.nn.Linear(width * 4, width)}
        )
        self.activation = activation

    def forward(self, x: Any) -> Any:
        normed = self.ln_1(x)
        x = x + self.attn(normed, normed, normed, need_weights=False)[0]
        return x + self.mlp["c_proj"](self.activation(self.mlp["c_fc"](self.ln_2(x))))


class Vision(torch.nn.Module):
    """OpenCLIP's vision transformer, layer by layer: what a converted tower has to agree with."""

    def __init__(self, width: int, layers: int, heads: int, side: int, patch: int, out: int, quick: bool) -> None:
        super().__init__()
        self.conv1 = torch.nn.Conv2d(3, width, patch, patch, bias=False)
        self.class_embedding = torch.nn.Parameter(torch.randn(width))
        self.positional_embedding = torch.nn.Parameter(torch.randn((side // patch) ** 2 + 1, width))
        self.ln_pre, self.ln_post = torch.nn.LayerNorm(width), torch.nn.LayerNorm(width)
        self.proj = torch.nn.Parameter(torch.randn(width, out))
        activation = (lambda x: x * torch.sigmoid(1.702 * x)) if quick else torch.nn.functional.gelu
        blocks = [Block(width, heads, activation) for _ in range(layers)]
        self.transformer = torch.nn.ModuleDict({"resblocks": torch.nn.ModuleList(blocks)})

    def forward(self, pixels: Any) -> list[Any]:
        """What enters the first block, what leaves each `[B, L, D]`, then the projected vector `[B, P]`."""
        patches = self.conv1(pixels).flatten(2).transpose(1, 2)  # [B, L - 1, D]
        x = torch.cat([self.class_embedding.expand(len(patches), 1, -1), patches], 1) + self.positional_embedding
        states = [self.ln_pre(x)]
        blocks: Any = self.transformer["resblocks"]
        for block in blocks:
            states.append(block(states[-1]))
        return [*states, self.ln_post(states[-1][:, 0]) @ self.proj]


def save(folder: Path, *, quick: bool = False, prefix: str = "visual.") -> Vision:
    """Save an OpenCLIP folder, and give the tower that it holds."""
    from safetensors.torch import save_file

    torch.manual_seed(0)
    tower = Vision(width=16, layers=2, heads=4, side=16, patch=8, out=24, quick=quick).eval()
    with torch.no_grad():
        for item in tower.parameters():
            item.add_(torch.randn_like(item) * 0.1)
    vision = {"image_size": 16, "layers": 2, "width": 16, "head_width": 4, "patch_size": 8}
    config: dict[str, Any] = {
        "model_cfg": {"embed_dim": 24, "vision_cfg": vision, "text_cfg": {"width": 16}},
        "preprocess_cfg": {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4], "interpolation": "bicubic"},
    }
    if quick:
        config["model_cfg"]["quick_gelu"] = True
    folder.mkdir(parents=True)
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    state = {f"{prefix}{name}": value.contiguous() for name, value in tower.state_dict().items()}
    save_file({**state, "logit_scale": torch.zeros(1)}, folder / "open_clip_model.safetensors")
    return tower


def picture(height: int = 16, width: int = 16) -> pil.Image:
    return pil.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), "uint8"))


def pixels(image: pil.Image) -> Any:
    """What OpenCLIP's evaluation transform makes of a picture of the right size: scaled to 0 … 1 and normalised."""
    values = torch.from_numpy(np.asarray(image, "float32") / 255).permute(2, 0, 1)
    mean, std = (torch.tensor(item).view(3, 1, 1) for item in ([0.5, 0.4, 0.3], [0.2, 0.3, 0.4]))
    return ((values - mean) / std)[None]  # [1, 3, H, W]


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("prefix", ["visual.", "module.visual."])
def test_every_layer_and_the_projected_vector_are_openclips(tmp_path: Path, quick: bool, prefix: str) -> None:
    tower = save(tmp_path / "open", quick=quick, prefix=prefix)
    with torch.no_grad():
        *states, projected = tower(pixels(picture()))
    for layer, expected in enumerate(states):
        choice = vision.Choice(str(tmp_path / "open"), "all", layer)
        ((found, mask),) = vision.Tower.load(choice).encode([picture()])
        assert mask is None
        assert np.allclose(found, expected[0], atol=1e-5), layer
    ((vector, _),) = vision.Tower.load(vision.Choice(str(tmp_path / "open"), "projected")).encode([picture()])
    assert np.allclose(vector, projected, atol=1e-5)
    ((pooled, _),) = vision.Tower.load(vision.Choice(str(tmp_path / "open"), "pooled")).encode([picture()])
    assert np.allclose(pooled @ tower.proj.detach().numpy(), projected, atol=1e-5)


def test_its_config_tells_tokens_and_width(tmp_path: Path) -> None:
    save(tmp_path / "open")
    for output, known in {"patches": (4, 16), "all": (5, 16), "cls": (1, 16), "projected": (1, 24)}.items():
        found = vision.facts(vision.Choice(str(tmp_path / "open"), output))  # type: ignore[arg-type]  # a plain str
        assert (found.tokens, found.width) == known


def test_a_picture_is_scaled_by_its_shorter_side_and_cut_in_the_middle(tmp_path: Path) -> None:
    save(tmp_path / "open")
    tower = vision.Tower.load(vision.Choice(str(tmp_path / "open")))
    wide = picture(16, 40)
    ((found, _),) = tower.encode([wide])
    ((middle, _),) = tower.encode([wide.crop((12, 0, 28, 16))])
    assert np.array_equal(found, middle)
    edit(tmp_path / "open", "preprocess_cfg", resize_mode="squash")
    ((squashed, _),) = vision.Tower.load(vision.Choice(str(tmp_path / "open"))).encode([wide])
    ((by_hand, _),) = tower.encode([wide.resize((16, 16), pil.Resampling.BICUBIC)])
    assert np.array_equal(squashed, by_hand)


def edit(folder: Path, part: str, **fields: object) -> None:
    config = json.loads((folder / "open_clip_config.json").read_text())
    place = config[part] if part in config else config["model_cfg"][part]
    place.update(fields)
    (folder / "open_clip_config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"pool_type": "avg", "no_ln_pre": True}, "no_ln_pre, pool_type"),
        ({"made_up": 1}, "made_up"),
    ],
)
def test_what_is_not_covered_is_named(tmp_path: Path, fields: dict[str, object], named: str) -> None:
    save(tmp_path / "open")
    edit(tmp_path / "open", "vision_cfg", **fields)
    with pytest.raises(ModelError, match=f"towers with {named} are not covered"):
        vision.facts(vision.Choice(str(tmp_path / "open")))


def test_towers_of_timm_are_refused_with_the_reason(tmp_path: Path) -> None:
    save(tmp_path / "open")
    edit(tmp_path / "open", "vision_cfg", timm_model_name="vit_base")
    with pytest.raises(
        ModelError, match="timm's vit_base, and timm does not run without torchvision; take the model's"
    ):
        vision.facts(vision.Choice(str(tmp_path / "open")))


def test_weights_that_do_not_fit_the_config_are_named(tmp_path: Path) -> None:
    save(tmp_path / "open")
    edit(tmp_path / "open", "vision_cfg", layers=3)
    with pytest.raises(ModelError, match=r"does not fit its open_clip_config\.json: Missing key"):
        vision.Tower.load(vision.Choice(str(tmp_path / "open")))
    (tmp_path / "open/open_clip_model.safetensors").unlink()
    with pytest.raises(ModelError, match="holds no weights"):
        vision.Tower.load(vision.Choice(str(tmp_path / "open")))


def test_pickled_weights_are_guarded(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    save(tmp_path / "open")
    ((expected, _),) = vision.Tower.load(vision.Choice(str(tmp_path / "open"))).encode([picture()])
    safe = tmp_path / "open/open_clip_model.safetensors"
    torch.save({"state_dict": load_file(safe)}, tmp_path / "open/open_clip_pytorch_model.bin")
    safe.unlink()
    with pytest.raises(ModelError, match="unpickling can run code"):
        vision.Tower.load(vision.Choice(str(tmp_path / "open")))
    ((found, _),) = vision.Tower.load(vision.Choice(str(tmp_path / "open"), pickle=True)).encode([picture()])
    assert np.array_equal(found, expected)
