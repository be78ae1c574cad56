"""The image tools: the network's shape, and on real weights what it sees."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmagent import Embedding, Image, Text
from mmagent.errors import CardError
from mmagent.registry import registry

Load = Callable[[str], Any]
PHOTO = Path(__file__).parents[2] / "examples/photo.png"


def module(name: str) -> Any:
    """The file of a tool, whose parts are looked at."""
    import importlib

    return importlib.import_module(f"mmagent.tools.{name}")


def test_the_network_has_the_published_size() -> None:
    pytest.importorskip("torch")
    network = module("image_features")._network()
    head = 1280 * 1000 + 1000
    assert sum(item.numel() for item in network.parameters()) + head == 4_652_008


def test_a_strided_convolution_is_padded_right_and_below() -> None:
    torch = pytest.importorskip("torch")
    stem = module("image_features")._network()._conv_stem
    torch.nn.init.ones_(stem.weight)
    with torch.no_grad():
        out = stem(torch.ones(1, 3, 224, 224))[0, 0]
    assert out.shape == (112, 112)
    assert out[0, 0] == 27, "nothing is padded above and to the left"
    assert out[-1, -1] == 12
    assert out[0, -1] == out[-1, 0] == 18


def test_the_centre_view_is_the_middle_of_the_picture_and_whole_is_all_of_it() -> None:
    pixels = np.zeros((300, 600, 3), "uint8")
    pixels[:, 165:435] = 255
    square = module("image_features")._square
    assert square(Image(pixels), "centre").min() > 250
    whole = square(Image(pixels), "whole")
    assert whole.shape == (224, 224, 3)
    assert whole[:, :50].max() < 5
    assert (whole > 127).mean() == pytest.approx(270 / 600, abs=0.01)


def test_there_is_a_name_for_each_of_the_thousand_classes() -> None:
    text = Path(module("image_tags").__file__).with_suffix(".txt").read_text(encoding="utf-8")
    names = [line for line in text.splitlines() if not line.startswith("#")]
    assert len(names) == len(set(names)) == 1000
    assert (names[0], names[281], names[999]) == ("tench", "tabby", "toilet tissue")


def test_the_encoders_port_says_its_tokens_width_and_space() -> None:
    (port,) = registry.card("image-features.v1").outputs
    assert port.constraints == {"tokens": 49, "width": 1280, "space": "efficientnet-lite0.grid"}


def test_the_port_follows_the_side_and_the_layer() -> None:
    kind = registry.find("image-features")

    def port(**settings: int) -> Any:
        return kind.card_for(kind.card.check_settings(settings)).outputs[0].constraints

    assert port() == port(side=224, layer=-1) == registry.card("image-features.v1").outputs[0].constraints
    assert port(side=64, layer=8) == {"tokens": 16, "width": 80, "space": "efficientnet-lite0.grid.64.8"}
    assert (port(layer=1)["tokens"], port(layer=16)["width"]) == (112**2, 320)
    for wrong in ({"side": 100}, {"side": 0}, {"layer": 0}, {"layer": 17}):
        with pytest.raises(CardError, match=r"image-features (reads|has)"):
            port(**wrong)


@pytest.mark.parametrize("layer", [1, 3, 5, 8, 11, 15, 16])
def test_a_layer_has_the_grid_that_the_port_tells(layer: int) -> None:
    torch = pytest.importorskip("torch")
    tools = module("image_features")
    with torch.inference_mode():
        made = tools._network().eval()(torch.zeros(1, 3, 64, 64), layer)
    stride, width = tools.LAYERS[layer - 1]
    assert made.shape == (1, width, 64 // stride, 64 // stride)


@pytest.mark.weights
def test_a_middle_layer_tells_colours_at_their_place() -> None:
    kind = registry.find("image-features")
    encode = kind.make({"side": 64, "layer": 8})
    encode.load()
    pixels = np.full((64, 64, 3), 240, "uint8")
    empty = encode.run(Image(pixels))
    np.testing.assert_allclose(np.square(empty.array).mean(axis=1), 1, rtol=1e-3)
    pixels[40:60, 4:24] = (255, 0, 0)
    red = encode.run(Image(pixels))
    pixels[40:60, 4:24] = (0, 0, 255)
    blue = encode.run(Image(pixels))
    assert red.describe() == {"tokens": 16, "width": 80, "space": "efficientnet-lite0.grid.64.8"}
    for one, other in ((red, empty), (blue, red)):
        assert divmod(int(np.abs(one.array - other.array).mean(axis=1).argmax()), 4) in ((2, 0), (2, 1), (3, 0), (3, 1))


@pytest.mark.weights
def test_a_photograph_of_a_cat_is_tagged_as_one(load: Load) -> None:
    tags: Text = load("image-tags.v1").run(Image(PHOTO))
    found = re.findall(r"([\w ]+) \((\d+) %\)", tags.text)
    assert {"tabby", "tiger cat", "Egyptian cat"} <= {name.strip() for name, _ in found}
    odds = [int(percent) for _, percent in found]
    assert odds == sorted(odds, reverse=True)
    assert sum(odds) > 80
    assert load("image-tags.v1").run(Image(PHOTO), top=1).text == tags.text.split(", ")[0]
    assert load("image-tags.v1").run(Image(PHOTO), threshold=0.999).text == ""


@pytest.mark.weights
def test_features_are_a_grid_in_reading_order(load: Load) -> None:
    encode = load("image-features.v1").run
    photo = Image(PHOTO)
    seen: Embedding = encode(photo)
    assert seen.describe() == {"tokens": 49, "width": 1280, "space": "efficientnet-lite0.grid"}
    np.testing.assert_array_equal(seen.array, encode(photo).array)
    plain = np.full((448, 448, 3), 127, "uint8")
    empty, cat = encode(Image(plain)).array, np.asarray(photo.pil().resize((160, 160)))
    for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
        there = plain.copy()
        there[288 * row : 288 * row + 160, 288 * column : 288 * column + 160] = cat
        change = np.abs(encode(Image(there)).array - empty).mean(axis=1)  # [49]
        at = divmod(int(change.argmax()), 7)
        assert (at[0] > 3, at[1] > 3) == (bool(row), bool(column)), "the cat is where it was put"


@pytest.mark.weights
def test_grey_alpha_and_tiny_pictures_are_encoded_too(load: Load) -> None:
    encode = load("image-features.v1").run
    for pixels in (np.zeros((1, 1, 1), "uint8"), np.zeros((5, 300, 4), "uint8"), np.zeros((40, 30, 3), "uint16")):
        assert np.isfinite(encode(Image(pixels)).array).all()


@pytest.mark.weights
def test_the_example_question_is_understood(load: Load, ctx: Any) -> None:
    from mmagent import Audio

    heard = load("speech-detector.v1").run(Audio(PHOTO.with_name("question.wav")), ctx)
    ready = load("resample.v1").run(heard.speech, rate=16_000, channels=1)
    assert load("speech-recognition.v1").run(ready, ctx).text == "What animal is in this picture?"
