"""Image encoders of each family, built small by their own classes, saved in their own format, loaded as a user's."""

from __future__ import annotations

import functools
import gc
import json
import shutil
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmagent import Embedding, Engine, GraphBuilder, Image
from mmagent.checkpoint.vision.families import FAMILIES as FAMILY_ROWS
from mmagent.errors import MediaError, ModelError
from mmagent.registry import registry
from tests.tools.encoders.checkpoints import Folders, card_of, fresh, loaded
from tests.tools.encoders.families import (
    BOX,
    SEEING,
    SIGHT,
    tf,
    torch,
)

TOOL = "image-encoder.v1"


class Quiet:
    """A context that hears nothing."""

    seed, cancelled = 0, False

    def progress(self, done: float, total: float = 1.0, note: str = "") -> None:
        pass


def picture(seed: int = 0, height: int = 30, width: int = 41) -> Image:
    return Image(np.random.default_rng(seed).integers(0, 256, (height, width, 3), "uint8"))


@functools.cache
def direct(folder: Path) -> Any:
    """What a user of the library gets from the same folder for `picture()`."""
    model = tf.AutoModel.from_pretrained(folder).eval()
    model = getattr(model, "vision_model", model)
    processor = tf.AutoImageProcessor.from_pretrained(folder, backend="pil")
    with torch.no_grad():
        return model(**processor(images=picture().pil(), return_tensors="pt"), output_hidden_states=True)


PREFIX = {"clip": 1, "clip-vision": 1, "vit": 1, "vit-msn": 1, "beit": 1, "dinov2": 1, "dinov2-registers": 4, "deit": 2}


@pytest.mark.parametrize("name", sorted(set(SEEING) - {"mobilenet"}))
def test_the_states_are_those_that_the_library_gives(folders: Folders, name: str) -> None:
    folder, image = folders(name), picture()
    out = direct(folder)
    last, first = (item[0].flatten(1).T if item.ndim == 4 else item[0] for item in (out[0], out.hidden_states[1]))
    chosen = {"all": last, "patches": last[PREFIX.get(name, 0) :], **({"cls": last[:1]} if name in PREFIX else {})}
    for output, states in chosen.items():
        assert np.array_equal(loaded(TOOL, model=str(folder), output=output).run(image).array, states.numpy())
    assert np.array_equal(loaded(TOOL, model=str(folder), output="all", layer=1).run(image).array, first.numpy())


@pytest.mark.parametrize("name", sorted(set(SEEING) - {"ijepa", "vit-msn"}))
def test_the_pooled_vector_is_the_models_own(folders: Folders, name: str) -> None:
    folder, image = folders(name), picture()
    expected = direct(folder).pooler_output.flatten(1)
    assert np.array_equal(loaded(TOOL, model=str(folder), output="pooled").run(image).array, expected.numpy())


@pytest.mark.parametrize("name", ["clip", "siglip", "naflex"])
def test_the_projected_vector_is_the_one_that_is_compared_with_texts(folders: Folders, name: str) -> None:
    folder, image = folders(name), picture()
    model = tf.AutoModel.from_pretrained(folder).eval()
    processor = tf.AutoImageProcessor.from_pretrained(folder, backend="pil")
    with torch.no_grad():
        features = model.get_image_features(**processor(images=image.pil(), return_tensors="pt"))
    made = loaded(TOOL, model=str(folder), output="projected").run(image)
    assert np.allclose(made.array, getattr(features, "pooler_output", features).numpy(), atol=1e-6)


CHOICES = [*((output, -1) for output in ("patches", "all", "cls", "pooled", "projected")), ("all", 1)]


@pytest.mark.parametrize("name", sorted(SEEING))
def test_what_comes_out_is_what_the_card_declares(folders: Folders, name: str) -> None:
    folder, image = folders(name), picture()
    kept = 0
    for output, layer in CHOICES:
        settings: dict[str, object] = {"model": str(folder), "output": output, "layer": layer}
        try:
            (port,) = card_of(TOOL, **settings).outputs
        except ModelError:
            continue
        found = loaded(TOOL, **settings).run(image).describe()
        assert {**found, **port.constraints} == found
        assert name in ("convnext", "mobilenet", "resnet", "swin") or {"tokens", "width"} <= set(port.constraints)
        kept += 1
    assert kept >= 2


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("clip", {"layer": 3}, "has 2 layers; layer is -3 … 2, not 3"),
        ("clip", {"layer": -4}, "has 2 layers"),
        ("clip", {"output": "pooled", "layer": 1}, "made of the last layer"),
        ("siglip", {"output": "cls"}, "has no class token; take pooled"),
        ("dinov2", {"output": "projected"}, "shares no space with a text encoder"),
        ("vit-msn", {"output": "pooled"}, "makes no pooled vector; take cls"),
        ("clip-vision", {"output": "projected"}, r"saved without weights visual_projection\.\*"),
        ("mobilenet", {}, "not known where its patches begin; take output: all or pooled"),
    ],
)
def test_what_a_checkpoint_does_not_have_is_refused_before_loading(
    folders: Folders, name: str, settings: dict[str, object], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        card_of(TOOL, model=str(folders(name)), **settings)


def test_a_pooler_that_was_not_saved_is_refused_before_loading(tmp_path: Path) -> None:
    tf.ViTForImageClassification(tf.ViTConfig(**SIGHT)).save_pretrained(tmp_path)
    tf.ViTImageProcessorPil(size=BOX).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"saved without weights pooler\.\*, of which pooled is made; take cls"):
        card_of(TOOL, model=str(tmp_path), output="pooled")
    assert loaded(TOOL, model=str(tmp_path), output="cls").run(picture()).array.shape == (1, 16)


def test_the_defaults_of_the_families_are_the_librarys() -> None:
    for kind, row in FAMILY_ROWS.items():
        if kind.startswith("open_clip"):
            continue  # its own file has them
        config = tf.AutoConfig.for_model(kind)
        config = getattr(config, "vision_config", config)
        assert {name: getattr(config, name, value) for name, value in row.defaults.items()} == row.defaults, kind


def test_a_picture_of_any_kind_is_laid_out_as_rgb(folders: Folders) -> None:
    tool = loaded(TOOL, model=str(folders("clip")))
    grey = np.random.default_rng(0).integers(0, 256, (20, 20, 1), "uint8")
    assert tool.run(Image(grey)) == tool.run(Image(np.repeat(grey, 3, axis=2)))
    assert tool.run(Image(np.zeros((1, 1, 3), "uint8"))).array.shape == (4, 16)


def test_a_very_long_picture_is_refused_where_all_of_it_would_be_scaled(folders: Folders) -> None:
    strip = picture(height=1, width=60)
    with pytest.raises(MediaError, match="60 × 1 is more than 50 times longer than wide; crop it"):
        loaded(TOOL, model=str(folders("clip"))).run(strip)
    assert loaded(TOOL, model=str(folders("siglip"))).run(strip).array.shape == (4, 16)


def test_patches_that_stand_for_nothing_are_masked(folders: Folders) -> None:
    made = loaded(TOOL, model=str(folders("naflex"))).run(picture(height=8, width=24))
    assert made.array.shape == (11, 16)
    assert 0 < made.mask.sum() < 11
    assert loaded(TOOL, model=str(folders("naflex")), output="pooled").run(picture()).mask.tolist() == [True]


@pytest.mark.parametrize("name", ["clip", "naflex", "dinov2"])
def test_a_batch_gives_what_single_pictures_give_in_their_order(folders: Folders, name: str) -> None:
    images = [picture(seed, height=20 + seed, width=40 - seed) for seed in range(5)]
    one, many = loaded(TOOL, model=str(folders(name))), loaded("image-batch-encoder.v1", model=str(folders(name)))
    made = many.run(images, Quiet(), batch=2)
    for image, found in zip(images, made, strict=True):
        single = one.run(image)
        assert found.space == single.space
        assert np.array_equal(found.mask, single.mask)
        assert np.allclose(found.array, single.array, atol=1e-5)
    assert many.run([], Quiet()) == []
    with pytest.raises(ModelError, match="batch is at least 1, not 0"):
        many.run(images, Quiet(), batch=0)


def test_a_batch_is_one_pass_through_the_network(folders: Folders) -> None:
    tool, sizes = fresh("image-batch-encoder.v1", model=str(folders("clip"))), list[int]()
    tool._tower.model.register_forward_hook(lambda module, args, out: sizes.append(len(out.last_hidden_state)))
    tool.run([picture(seed) for seed in range(5)], Quiet(), batch=4)
    assert sizes == [4, 1]


def test_pictures_that_stay_of_several_sizes_are_encoded_apart(folders: Folders, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(folders("dinov2"), tmp_path / "free"))
    tf.BitImageProcessorPil(size={"shortest_edge": 14}, do_center_crop=False).save_pretrained(folder)
    made = loaded("image-batch-encoder.v1", model=str(folder)).run([picture(0, 20, 20), picture(1, 20, 60)], Quiet())
    assert [len(item.array) for item in made] == [4, 12]
    assert set(card_of(TOOL, model=str(folder)).outputs[0].constraints) == {"width", "space"}


def test_unloading_gives_the_weights_back(folders: Folders) -> None:
    tool = fresh(TOOL, model=str(folders("clip")))
    model = weakref.ref(tool._tower.model)
    tool.unload()
    gc.collect()
    assert model() is None
    tool.load()
    assert tool.run(picture()).array.shape == (4, 16)


def test_the_text_encoder_is_not_loaded(folders: Folders) -> None:
    tower = loaded(TOOL, model=str(folders("clip")))._tower.model
    assert not any("text" in name for name, _ in tower.named_parameters())


def test_a_processor_of_another_size_is_refused(folders: Folders, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(folders("vit"), tmp_path / "large"))
    tf.ViTImageProcessorPil(size={"height": 24, "width": 24}).save_pretrained(folder)
    with pytest.raises(ModelError, match="makes pictures of 24 × 24, and the model takes 16 × 16"):
        card_of(TOOL, model=str(folder))


def test_processor_configs_of_old_checkpoints_are_read(folders: Folders, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(folders("dinov2"), tmp_path / "old"))
    fields = {"image_processor_type": "BitImageProcessor", "size": 21, "crop_size": 21, "do_center_crop": True}
    (folder / "preprocessor_config.json").write_text(json.dumps(fields))
    (port,) = card_of(TOOL, model=str(folder)).outputs
    assert port.constraints["tokens"] == len(loaded(TOOL, model=str(folder)).run(picture()).array) == 9


def test_other_models_are_refused(tmp_path: Path) -> None:
    tf.ViTMAEConfig(**SIGHT).save_pretrained(tmp_path / "mae")
    with pytest.raises(ModelError, match="at random"):
        card_of(TOOL, model=str(tmp_path / "mae"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=r"holds no config\.json"):
        card_of(TOOL, model=str(tmp_path / "empty"))
    (tmp_path / "empty/config.json").write_text("{}")
    with pytest.raises(ModelError, match="names no model_type"):
        card_of(TOOL, model=str(tmp_path / "empty"))


def test_a_space_of_the_users_own_is_declared_and_given(folders: Folders) -> None:
    settings = {"model": str(folders("clip")), "space": "my.space"}
    assert (
        card_of(TOOL, **settings).outputs[0].constraints["space"]
        == loaded(TOOL, **settings).run(picture()).space
        == "my.space"
    )


def test_other_weights_are_another_recipe(folders: Folders, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(folders("vit"), tmp_path / "vit"))

    def encoded() -> Embedding:
        builder = GraphBuilder("encode")
        image = builder.input("image", Image)
        builder.output("states", builder.add("encode", "image-encoder", image=image, model=str(folder)))
        with Engine() as engine:
            made = engine.run(builder.checked(), {"image": picture()}).outputs["states"]
        assert isinstance(made, Embedding)
        return made

    first, again = encoded(), encoded()
    assert first.digest == again.digest
    model = tf.ViTModel.from_pretrained(folder)
    torch.nn.init.ones_(model.layernorm.bias)
    model.save_pretrained(folder)
    assert encoded().digest != first.digest


def test_a_preset_is_a_tool_whose_space_a_graph_checks(
    folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = tmp_path / "tools"
    shelf.mkdir()
    (shelf / "mine.yaml").write_text(f"my-clip: {{tool: image-encoder, model: {folders('clip')}, output: pooled}}\n")
    monkeypatch.setenv("MMAGENT_PATH", str(tmp_path))
    (port,) = registry.find("my-clip").card.outputs
    assert port.constraints == {"tokens": 1, "width": 16, "space": "clip.image.pooled"}
    builder = GraphBuilder("mine")
    image = builder.input("image", Image)
    builder.output("vector", builder.add("encode", "my-clip", image=image))
    with Engine() as engine:
        made = engine.run(builder.checked(), {"image": picture()}).outputs["vector"]
    assert isinstance(made, Embedding)
    assert np.array_equal(made.array, direct(folders("clip")).pooler_output.numpy())
