"""Where a checkpoint lies, what its config says, and what it is called."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mmagent.checkpoint import config, digest, locate, slug
from mmagent.checkpoint.files import wanted
from mmagent.errors import ModelError, Offline

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def snapshot(saved: Path, caches: Path) -> Path:
    """The checkpoint as the hub's client leaves it, under the id `somebody/tiny-clip`."""
    store = caches / "models--somebody--tiny-clip"
    (store / "refs").mkdir(parents=True)
    (store / "refs/main").write_text(COMMIT)
    return Path(shutil.copytree(saved, store / "snapshots" / COMMIT))


def test_a_folder_and_a_file_are_themselves(saved: Path) -> None:
    assert locate(str(saved)) == saved
    assert locate(str(saved / "model.safetensors")) == saved / "model.safetensors"


def test_a_hub_id_is_its_snapshot_in_the_cache(snapshot: Path) -> None:
    assert locate("somebody/tiny-clip") == snapshot
    assert locate("somebody/tiny-clip", revision=COMMIT, download=False) == snapshot
    found = config("somebody/tiny-clip")
    assert found is not None and found["model_type"] == "clip_vision_model"
    assert digest("somebody/tiny-clip") == COMMIT


def test_a_hub_id_that_is_not_in_the_cache_is_unknown_without_network() -> None:
    assert config("somebody/other") is None
    assert digest("somebody/other") == ""
    with pytest.raises(Offline, match="hf download somebody/other --revision v2"):
        locate("somebody/other", revision="v2", download=False)


def test_a_snapshot_whose_download_was_cut_off_is_not_taken(snapshot: Path) -> None:
    (snapshot / "model.safetensors").unlink()
    with pytest.raises(Offline, match="not in the hub's cache"):
        locate("somebody/tiny-clip", download=False)
    assert digest("somebody/tiny-clip") == ""
    assert config("somebody/tiny-clip") is not None


@pytest.mark.parametrize("model", ["./no-such-folder", "/no/such/folder", "weights.safetensors", "a/b/c"])
def test_what_is_neither_path_nor_hub_id_is_refused(model: str) -> None:
    with pytest.raises(ModelError, match="there is no folder or file"):
        locate(model)


def test_no_model_is_refused() -> None:
    with pytest.raises(ModelError, match="no model is named"):
        locate("")


def test_a_folder_without_the_config_is_refused_unless_it_is_optional(folder: Path) -> None:
    (folder / "config.json").unlink()
    with pytest.raises(ModelError, match=r"holds no config\.json"):
        config(str(folder))
    assert config(str(folder), optional=True) is None
    assert config(str(folder / "model.safetensors")) is None


def test_a_config_that_is_no_json_is_refused(folder: Path) -> None:
    (folder / "config.json").write_text("{")
    with pytest.raises(ModelError, match="cannot be read as JSON"):
        config(str(folder))
    (folder / "config.json").write_text("[]")
    with pytest.raises(ModelError, match="holds a list"):
        config(str(folder))


def test_a_slug_is_short_and_the_same_for_a_hub_id_and_its_snapshot(snapshot: Path) -> None:
    assert slug("openai/clip-vit-base-patch32") == "clip-vit-base-patch32"
    assert slug("/models/My Own CLIP") == "my-own-clip"
    assert slug("somebody/tiny-clip") == slug(str(snapshot)) == "tiny-clip"


def test_one_copy_of_the_weights_is_downloaded_and_no_code() -> None:
    stable_diffusion = [
        "model_index.json", "v1-5-pruned.safetensors", "unet/config.json", "README.md", "unet/modeling.py",
        "unet/diffusion_pytorch_model.safetensors", "unet/diffusion_pytorch_model.fp16.safetensors",
        "unet/diffusion_pytorch_model.bin", "tokenizer/merges.txt",
    ]  # fmt: skip
    assert wanted(stable_diffusion) == [
        "model_index.json", "tokenizer/merges.txt", "unet/config.json", "unet/diffusion_pytorch_model.safetensors",
    ]  # fmt: skip
    assert wanted(["pytorch_model.bin", "flax_model.msgpack", "training_args.bin"]) == ["pytorch_model.bin"]
    assert wanted(["open_clip_model.safetensors", "model.safetensors"]) == ["model.safetensors"]
    assert wanted(["open_clip_model.safetensors", "open_clip_config.json"]) == [
        "open_clip_config.json", "open_clip_model.safetensors",
    ]  # fmt: skip
    assert wanted(["model.fp16.safetensors", "onnx/model.onnx"]) == ["model.fp16.safetensors"]
    assert wanted(["model.safetensors", "source.spm", "target.spm"]) == [
        "model.safetensors",
        "source.spm",
        "target.spm",
    ]
