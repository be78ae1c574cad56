"""What is loaded, and what is refused: pickles, code, parts that are missing; single files; parts done without."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mmagent import Text
from mmagent.diffusion import Conditioning, Diffuser, Layout, layout, save_small
from mmagent.errors import MissingExtra, ModelError, Offline

Folder = Callable[[str], Path]
CAT = Conditioning(prompt=Text("a red cat"))


@pytest.fixture
def copy(folder: Folder, tmp_path: Path) -> Path:
    """Stable Diffusion in a folder that a test may change."""
    return Path(shutil.copytree(folder("stable-diffusion"), tmp_path / "mine"))


def loaded(model: Path | str, **settings: Any) -> Diffuser:
    made = Diffuser(str(model), owner="test.v1", **settings)
    made.load()
    return made


def painted(diffuser: Diffuser, ctx: Any, **options: Any) -> Any:
    return diffuser.run(ctx, CAT, steps=2, output_type="np", **options).images[0]


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def pickled(folder: Path, part: str, name: str) -> None:
    """The weights of a part as a pickle, without safetensors."""
    from safetensors.torch import load_file

    (safe,) = (folder / part).glob("*.safetensors")
    torch.save(load_file(safe), folder / part / name)
    safe.unlink()


@pytest.mark.parametrize(
    ("part", "name"), [("unet", "diffusion_pytorch_model.bin"), ("text_encoder", "pytorch_model.bin")]
)
def test_pickled_weights_are_refused_unless_asked_for(
    part: str, name: str, copy: Path, diffuser: Any, listen: Any
) -> None:
    pickled(copy, part, name)
    with pytest.raises(ModelError, match=r"is pickled.*unpickling can run code.*pickle: true"):
        loaded(copy)
    np.testing.assert_array_equal(
        painted(loaded(copy, pickle=True), listen()), painted(diffuser("stable-diffusion"), listen())
    )


@pytest.mark.parametrize("parts", [("unet", "vae", "text_encoder"), ("unet",)])
def test_weights_in_half_precision_alone_are_loaded(
    parts: tuple[str, ...], folder: Folder, copy: Path, listen: Any
) -> None:
    from mmagent.checkpoint.files import wanted

    for part in parts:
        (safe,) = (copy / part).glob("*.safetensors")
        safe.rename(safe.with_name(f"{safe.stem}.fp16.safetensors"))
    names = [str(path.relative_to(copy)) for path in copy.rglob("*") if path.is_file()]
    assert sorted(names) == wanted(names), "this is what a download brings"
    found, plain = (layout(str(place)) for place in (copy, folder("stable-diffusion")))
    assert found is not None and plain is not None and found.parameters == plain.parameters
    np.testing.assert_array_equal(
        painted(loaded(copy), listen()), painted(loaded(folder("stable-diffusion")), listen())
    )


def test_the_card_counts_the_weights_as_they_will_run(folder: Folder, copy: Path, diffuser: Any) -> None:
    from safetensors.torch import load_file, save_file

    for safe in copy.rglob("*.safetensors"):
        save_file({name: value.half() for name, value in load_file(safe).items()}, safe, {"format": "pt"})
    stored, found = layout(str(folder("stable-diffusion"))), layout(str(copy))
    assert stored is not None and found is not None
    modules = [part for part in diffuser("stable-diffusion").pipe.components.values() if hasattr(part, "parameters")]
    total = sum(value.nbytes for part in modules for value in part.parameters())
    assert found.memory() == stored.memory() == total == diffuser("stable-diffusion").layout.memory()
    assert found.memory("float16") == found.memory("auto", "cuda") == total / 2
    assert found.memory("auto", "cpu:0") == total
    assert found.seconds(50) == stored.seconds(50)


def test_half_precision_beside_the_plain_weights_is_left_aside(copy: Path) -> None:
    before = layout(str(copy))
    (safe,) = (copy / "unet").glob("*.safetensors")
    for name in ("fp16", "fp32", "bf16-00001-of-00002"):
        shutil.copy(safe, safe.with_name(f"{safe.stem}.{name}.safetensors"))
    after = layout(str(copy))
    assert before is not None and after is not None and before.parameters == after.parameters


def test_a_pickle_with_code_in_it_does_not_run(copy: Path, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "ran",)

    pickled(copy, "unet", "diffusion_pytorch_model.bin")
    torch.save({"weight": Trap()}, copy / "unet" / "diffusion_pytorch_model.bin")
    with pytest.raises(ModelError):
        loaded(copy, pickle=True)
    assert not (tmp_path / "ran").exists()


def test_code_in_the_folder_never_runs(copy: Path, tmp_path: Path) -> None:
    code = f"from pathlib import Path\nPath({str(tmp_path / 'ran')!r}).touch()\nclass Mine: ...\n"
    index = copy / "model_index.json"
    (copy / "mine.py").write_text(code)
    edit(index, _class_name=["mine", "Mine"])
    with pytest.raises(ModelError, match="code from a folder of weights is never run"):
        loaded(copy)
    edit(index, _class_name="MinePipeline")
    with pytest.raises(ModelError, match="has no pipeline MinePipeline"):
        loaded(copy)
    (copy / "unet" / "mine.py").write_text(code)
    edit(index, _class_name="StableDiffusionPipeline", unet=["mine", "Mine"])
    with pytest.raises(ModelError, match="unet is a Mine of mine; code from a folder of weights is never run"):
        loaded(copy)
    assert not (tmp_path / "ran").exists()


def test_what_is_missing_is_told(copy: Path) -> None:
    shutil.rmtree(copy / "vae")
    with pytest.raises(ModelError, match="lacks vae, which StableDiffusionPipeline needs"):
        loaded(copy)
    with pytest.raises(ModelError, match=r"holds no model_index\.json"):
        loaded(copy / "unet")
    with pytest.raises(ModelError, match="there is no folder or file"):
        loaded(copy / "nowhere")


def test_parameters_that_are_missing_are_never_filled_with_random_ones(copy: Path) -> None:
    from safetensors.torch import load_file, save_file

    for part, file in (("text_encoder", "model"), ("unet", "diffusion_pytorch_model")):
        path = copy / part / f"{file}.safetensors"
        whole = load_file(path)
        save_file({name: value for name, value in whole.items() if "bias" not in name}, path, {"format": "pt"})
        with pytest.raises(ModelError, match=rf"{part}.*lacks \d+ of its parameters"):
            loaded(copy)
        save_file(whole, path, {"format": "pt"})


def test_a_small_checkpoint_of_a_family_that_is_not_there_names_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no small sd9, but animatediff, audioldm.*z-image"):
        save_small("sd9", tmp_path)


def test_a_torn_file_is_an_error_of_ours(copy: Path) -> None:
    path = copy / "unet" / "diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ModelError, match=r"cannot be loaded by diffusers"):
        loaded(copy)


def test_a_safety_checker_that_is_not_there_is_done_without(copy: Path, diffuser: Any, listen: Any) -> None:
    edit(
        copy / "model_index.json",
        safety_checker=["stable_diffusion", "StableDiffusionSafetyChecker"],
        feature_extractor=["transformers", "CLIPImageProcessor"],
        requires_safety_checker=True,
    )
    mine = loaded(copy)
    assert mine.pipe.safety_checker is None
    np.testing.assert_array_equal(painted(mine, listen()), painted(diffuser("stable-diffusion"), listen()))


def test_a_missing_library_is_told_with_the_command(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(MissingExtra, match=r"test\.v1 needs diffusers.*pip install 'mmagent\[local\]'"):
        loaded(copy)


def test_a_hub_id_that_is_not_here_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub as hub

    def unreachable(*_: Any, **__: Any) -> Any:
        raise ConnectionError("no route to host")

    monkeypatch.setattr(hub.HfApi, "list_repo_files", unreachable)
    with pytest.raises(Offline, match="hf download nobody/has-this"):
        loaded("nobody/has-this")
    assert layout("nobody/has-this") is None


@pytest.fixture(scope="module")
def single(folder: Folder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stable Diffusion as one file, in the layout of the original release; beside it, its configs in `configs`."""
    from safetensors.torch import load_file, save_file

    source, root = folder("stable-diffusion"), tmp_path_factory.mktemp("single")
    parts = {part: load_file(next((source / part).glob("*.safetensors"))) for part in ("unet", "vae", "text_encoder")}
    merged = {**original_unet(parts["unet"]), **original_vae(parts["vae"])}
    words = {name.removeprefix("text_model."): value for name, value in parts["text_encoder"].items()}
    merged |= {f"cond_stage_model.transformer.text_model.{name}": value for name, value in words.items()}
    save_file({name: value.contiguous() for name, value in merged.items()}, root / "My Painter.safetensors")
    shutil.copytree(source, root / "configs", ignore=shutil.ignore_patterns("*.safetensors"))
    return root / "My Painter.safetensors"


def test_one_file_is_loaded_with_the_configs_that_describe_it(single: Path, diffuser: Any, listen: Any) -> None:
    configs = str(single.parent / "configs")
    mine = loaded(single, config=configs)
    np.testing.assert_array_equal(painted(mine, listen()), painted(diffuser("stable-diffusion"), listen()))
    assert mine.space == "my-painter.text"
    known = layout(str(single), config=configs)
    assert known is not None and known.width == 16 and 0 < known.memory() < single.stat().st_size


def test_one_file_is_loaded_with_the_configs_beside_it(single: Path, tmp_path: Path, listen: Any) -> None:
    shutil.copytree(single.parent / "configs", tmp_path, dirs_exist_ok=True)
    mine = shutil.copy(single, tmp_path / "mine.safetensors")
    assert layout(str(mine)) is not None, "the card follows them"
    assert painted(loaded(mine), listen()).shape == (32, 32, 3)


@pytest.mark.parametrize("config", ["somebody/painter", ""])
def test_of_a_hub_id_that_describes_one_file_the_configs_alone_are_fetched(
    config: str, single: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub as hub
    from diffusers.loaders import single_file_utils

    asked = list[tuple[str, tuple[str, ...]]]()

    def fetch(name: str, *, allow_patterns: list[str], local_files_only: bool = False) -> str:
        if local_files_only:
            raise hub.errors.LocalEntryNotFoundError("nothing is here")
        asked.append((name, tuple(allow_patterns)))
        return str(single.parent / "configs")

    def read(*_: Any, **__: Any) -> Any:
        raise AssertionError("the file is read for its names and shapes alone")

    monkeypatch.setattr(hub, "snapshot_download", fetch)
    monkeypatch.setattr(single_file_utils, "load_single_file_checkpoint", read)
    loaded(single, config=config)
    ((name, patterns),) = asked
    assert name == config or name.endswith("stable-diffusion-v1-5")
    assert "*.json" in patterns and not any("safetensors" in item or "bin" in item for item in patterns)


def test_what_one_file_lacks_is_told(single: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    bare = tmp_path / "bare.safetensors"
    save_file({name: value for name, value in load_file(single).items() if name.startswith("model.")}, bare)
    with pytest.raises(ModelError, match="holds not all parts of a StableDiffusionPipeline; get the others"):
        loaded(bare, config=str(single.parent / "configs"))


def test_pickles_among_the_configs_of_one_file_are_refused(single: Path, tmp_path: Path) -> None:
    configs = Path(shutil.copytree(single.parent / "configs", tmp_path / "configs"))
    torch.save({}, configs / "text_encoder" / "pytorch_model.bin")
    with pytest.raises(ModelError, match="unpickling can run code"):
        loaded(single, config=str(configs))


def original_unet(state: dict[str, Any]) -> dict[str, Any]:
    """The small U-Net under the names of the original release: its converter, turned round."""
    names = {
        "conv_in": "input_blocks.0.0", "time_embedding.linear_1": "time_embed.0",
        "time_embedding.linear_2": "time_embed.2", "conv_norm_out": "out.0", "conv_out": "out.2",
        "down_blocks.0.resnets.0": "input_blocks.1.0", "down_blocks.0.downsamplers.0.conv": "input_blocks.2.0.op",
        "down_blocks.1.resnets.0": "input_blocks.3.0", "down_blocks.1.attentions.0": "input_blocks.3.1",
        "mid_block.resnets.0": "middle_block.0", "mid_block.attentions.0": "middle_block.1",
        "mid_block.resnets.1": "middle_block.2",
        "up_blocks.0.resnets.0": "output_blocks.0.0", "up_blocks.0.attentions.0": "output_blocks.0.1",
        "up_blocks.0.resnets.1": "output_blocks.1.0", "up_blocks.0.attentions.1": "output_blocks.1.1",
        "up_blocks.0.upsamplers.0.conv": "output_blocks.1.2.conv",
        "up_blocks.1.resnets.0": "output_blocks.2.0", "up_blocks.1.resnets.1": "output_blocks.3.0",
    }  # fmt: skip
    inner = {
        "norm1": "in_layers.0", "conv1": "in_layers.2", "norm2": "out_layers.0", "conv2": "out_layers.3",
        "time_emb_proj": "emb_layers.1", "conv_shortcut": "skip_connection",
    }  # fmt: skip
    return {f"model.diffusion_model.{_renamed(name, names, inner)}": value for name, value in state.items()}


def original_vae(state: dict[str, Any]) -> dict[str, Any]:
    """The small VAE under the names of the original release."""
    names = {"quant_conv": "quant_conv", "post_quant_conv": "post_quant_conv"}
    for side, blocks in (("encoder", "down"), ("decoder", "up")):
        names |= {f"{side}.{part}": f"{side}.{part}" for part in ("conv_in", "conv_out")}
        names |= {f"{side}.conv_norm_out": f"{side}.norm_out"}
        names |= {f"{side}.mid_block.resnets.{at}": f"{side}.mid.block_{at + 1}" for at in (0, 1)}
        names |= {f"{side}.mid_block.attentions.0": f"{side}.mid.attn_1"}
        for block in (0, 1):
            place = block if blocks == "down" else 1 - block
            names |= {
                f"{side}.{blocks}_blocks.{block}.resnets.{at}": f"{side}.{blocks}.{place}.block.{at}" for at in (0, 1)
            }
            names |= {f"{side}.{blocks}_blocks.{block}.{blocks}samplers.0": f"{side}.{blocks}.{place}.{blocks}sample"}
    inner = {
        "conv_shortcut": "nin_shortcut",
        "group_norm": "norm",
        "to_q": "q",
        "to_k": "k",
        "to_v": "v",
        "to_out.0": "proj_out",
    }
    return {f"first_stage_model.{_renamed(name, names, inner)}": _square(name, value) for name, value in state.items()}


def _renamed(name: str, names: dict[str, str], inner: dict[str, str]) -> str:
    start = max((old for old in names if name.startswith(f"{old}.")), key=len)
    rest = name[len(start) + 1 :]
    if "attentions" not in start or start.startswith(("encoder", "decoder")):
        part, _, last = rest.rpartition(".")
        rest = f"{inner.get(part, part)}.{last}".removeprefix(".")
    return f"{names[start]}.{rest}"


def _square(name: str, value: Any) -> Any:
    """The weights of the VAE's attention as 1 × 1 convolutions, as which they were released."""
    attention = "attentions" in name and name.endswith("weight") and value.ndim == 2
    return value[..., None, None] if attention else value


def test_sizes_are_told_by_either_kind_of_vae() -> None:
    sana = Layout("sana", "SanaPipeline", {}, {
        "vae": {"encoder_block_out_channels": [8] * 6, "block_out_channels": None}, "transformer": {"sample_size": 32},
    }, {})  # fmt: skip
    assert (sana.scale, sana.size) == (32, (1024, 1024))


def test_a_network_that_only_edits_says_so(tmp_path: Path, listen: Any) -> None:
    import diffusers

    from mmagent.diffusion.small import image

    with torch.random.fork_rng(devices=[]):
        base = image.stable_diffusion(in_channels=9)
        parts = {**base.components, "requires_safety_checker": False}
    diffusers.StableDiffusionInpaintPipeline(**parts).save_pretrained(tmp_path / "painter-in")
    found = layout(str(tmp_path / "painter-in"))
    assert found is not None and found.needs_image
    mine = loaded(tmp_path / "painter-in")
    with pytest.raises(ModelError, match="edits pictures and does nothing else; give it image and mask_image"):
        painted(mine, listen(), task="text")
    import PIL.Image

    picture = PIL.Image.new("RGB", (32, 32), "red")
    made = painted(mine, listen(), task="inpaint", image=picture, mask_image=PIL.Image.new("L", (32, 32), 255))
    assert made.shape == (32, 32, 3)
