"""Loading is guarded: no pickles unless asked, no code, no random numbers in place of weights."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from mmagent.checkpoint import guard, load_part, load_pretrained, load_tensors
from mmagent.errors import MissingExtra, ModelError

torch = pytest.importorskip("torch")


class Evil:
    """Unpickled, it touches a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_a_model_comes_frozen_in_float32_and_eval_mode(saved: Path) -> None:
    model = load_pretrained("CLIPVisionModel", str(saved))
    assert not model.training
    assert {(item.dtype, item.requires_grad) for item in model.parameters()} == {(torch.float32, False)}


def test_half_precision_weights_come_in_float32(folder: Path) -> None:
    load_pretrained("CLIPVisionModel", str(folder)).half().save_pretrained(folder)
    assert load_pretrained("CLIPVisionModel", str(folder)).dtype == torch.float32
    assert load_pretrained("CLIPVisionModel", str(folder), dtype=torch.float16).dtype == torch.float16


def test_loading_says_nothing(saved: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from transformers.utils import logging

    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    load_pretrained("CLIPVisionModel", str(saved))
    assert capfd.readouterr() == ("", "")
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before


def test_threads_that_load_at_once_leave_the_switches_as_they_were() -> None:
    from transformers.utils import logging

    from mmagent.checkpoint.quiet import quiet

    before = logging.get_verbosity()
    first, second = quiet(), quiet()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)  # the other one is still at work
    assert logging.get_verbosity() == logging.ERROR
    second.__exit__(None, None, None)
    assert logging.get_verbosity() == before != logging.ERROR


def test_pickled_weights_are_refused_with_the_reason_and_two_ways_out(pickled: Path) -> None:
    with pytest.raises(ModelError, match=r"unpickling can run code.*save_pretrained.*pickle: true"):
        load_pretrained("CLIPVisionModel", str(pickled))


def test_pickled_weights_load_where_they_are_allowed(pickled: Path, saved: Path) -> None:
    model = load_pretrained("CLIPVisionModel", str(pickled), pickle=True)
    expected = load_pretrained("CLIPVisionModel", str(saved)).state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in model.state_dict().items())


def test_allowed_pickles_still_run_no_code(pickled: Path, tmp_path: Path) -> None:
    torch.save({"weight": Evil(tmp_path / "touched")}, pickled / "pytorch_model.bin")
    with pytest.raises(ModelError, match="cannot be loaded as CLIPVisionModel: its pickled file holds more than"):
        load_pretrained("CLIPVisionModel", str(pickled), pickle=True)
    torch.save(Evil(tmp_path / "touched"), pickled / "other.pt")
    with pytest.raises(ModelError, match="cannot be read: its pickled file holds more than tensors"):
        load_tensors(pickled / "other.pt", pickle=True)
    assert not (tmp_path / "touched").exists()


def test_safetensors_are_preferred_where_both_are_there(folder: Path, tmp_path: Path) -> None:
    torch.save({"weight": Evil(tmp_path / "touched")}, folder / "pytorch_model.bin")
    assert guard(folder)
    load_pretrained("CLIPVisionModel", str(folder), pickle=True)
    assert not (tmp_path / "touched").exists()


def test_each_part_of_a_pipeline_is_guarded(folder: Path, tmp_path: Path) -> None:
    pipeline = tmp_path / "pipeline"
    pipeline.mkdir()
    folder.rename(pipeline / "image_encoder")
    (pipeline / "model_index.json").write_text("{}")
    (pipeline / "unet").mkdir()
    assert guard(pipeline)
    (pipeline / "unet/diffusion_pytorch_model.bin").write_bytes(b"")
    with pytest.raises(ModelError, match=r"unet/diffusion_pytorch_model\.bin is pickled"):
        guard(pipeline)
    assert not guard(pipeline, pickle=True)


def test_sharded_weights_load_and_a_missing_shard_is_named(folder: Path) -> None:
    model = load_pretrained("CLIPVisionModel", str(folder))
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="8KB")
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    shards = sorted(set(index["weight_map"].values()))
    assert len(shards) > 1
    again = load_pretrained("CLIPVisionModel", str(folder))
    assert torch.equal(
        again.state_dict()[next(iter(index["weight_map"]))], model.state_dict()[next(iter(index["weight_map"]))]
    )
    (folder / shards[0]).unlink()
    with pytest.raises(ModelError, match=f"lacks {shards[0]}, which its index names"):
        load_pretrained("CLIPVisionModel", str(folder))


@pytest.mark.parametrize("shard", ["evil.bin", "../outside.safetensors", "below/shard.safetensors"])
def test_an_index_that_leads_past_the_guard_is_refused(folder: Path, tmp_path: Path, shard: str) -> None:
    (folder / "model.safetensors").rename(folder / "decoy.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": {"weight": shard}}))
    (folder / "below").mkdir()
    torch.save({"weight": Evil(tmp_path / "touched")}, folder / shard)
    for allowed in (False, True):
        with pytest.raises(ModelError, match=r"index\.json names .*; the shards of an index lie beside it"):
            load_pretrained("CLIPVisionModel", str(folder), pickle=allowed)


def test_the_index_of_pickles_that_were_not_downloaded_does_no_harm(folder: Path) -> None:
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": {"weight": "pytorch_model-1.bin"}}))
    assert guard(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="lacks pytorch_model-1"):
        guard(folder)


@pytest.mark.parametrize(
    "asked",
    [
        {"attn_implementation": "somebody/kernel"},
        {"_attn_implementation": "flash_attention_2"},
        {"vision_config": {"attn_implementation": {"": "somebody/kernel"}}},
    ],
)
def test_an_attention_whose_code_comes_from_the_hub_is_refused(folder: Path, asked: dict[str, object]) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "attn_implementation": "eager"}))
    assert guard(folder)
    (folder / "config.json").write_text(json.dumps(config | asked))
    with pytest.raises(ModelError, match=r"asks for the attention .*, whose code may come from the hub"):
        load_pretrained("CLIPVisionModel", str(folder))


def test_another_architecture_is_refused_rather_than_filled_with_random_numbers(saved: Path) -> None:
    with pytest.raises(ModelError, match=r"is no ViTModel: it lacks \d+ of its parameters"):
        load_pretrained("ViTModel", str(saved))


def test_parameters_that_may_be_missing_are_named_by_how_they_start(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    state = {name: value for name, value in load_file(folder / "model.safetensors").items() if "post_layer" not in name}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="post_layernorm"):
        load_pretrained("CLIPVisionModel", str(folder))
    load_pretrained("CLIPVisionModel", str(folder), optional=("post_layernorm", "vision_model.post_layernorm"))


def test_code_in_the_folder_never_runs(folder: Path, tmp_path: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config.update(model_type="my-own", auto_map={"AutoConfig": "code.Config", "AutoModel": "code.Model"})
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "code.py").write_text(f"from pathlib import Path\nPath({str(tmp_path / 'touched')!r}).touch()\n")
    with pytest.raises(ModelError, match="cannot be loaded as AutoModel"):
        load_pretrained("AutoModel", str(folder))
    with pytest.raises(ModelError, match="cannot be loaded as AutoConfig"):
        load_part("AutoConfig", str(folder))
    assert not (tmp_path / "touched").exists()


def test_torn_weights_are_an_error_of_the_model(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(ModelError, match="cannot be loaded as CLIPVisionModel"):
        load_pretrained("CLIPVisionModel", str(folder))
    with pytest.raises(ModelError, match="cannot be read"):
        load_tensors(folder / "model.safetensors")


def test_the_parts_beside_the_weights_load_by_their_class(saved: Path) -> None:
    assert load_part("AutoConfig", str(saved)).hidden_size == 16


def test_tensors_of_one_file_come_by_name(saved: Path, pickled: Path) -> None:
    safe = load_tensors(saved / "model.safetensors")
    assert safe and all(isinstance(value, torch.Tensor) for value in safe.values())
    unsafe = load_tensors(pickled / "pytorch_model.bin", pickle=True)
    assert all(torch.equal(value, unsafe[name]) for name, value in safe.items())
    torch.save([1], pickled / "list.pt")
    with pytest.raises(ModelError, match="no tensors by name"):
        load_tensors(pickled / "list.pt", pickle=True)


@pytest.mark.parametrize("library", ["torch", "transformers"])
def test_a_missing_library_names_the_extra(saved: Path, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtra, match=rf"needs {library}, .* pip install 'mmagent\[local\]'"):
        load_pretrained("CLIPVisionModel", str(saved))


def test_a_single_file_is_no_folder_of_a_model(saved: Path) -> None:
    with pytest.raises(ModelError, match="name the folder"):
        load_pretrained("CLIPVisionModel", str(saved / "model.safetensors"))
