"""The image tools: the network's shape, and on real weights what it sees."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmagent import Embedding, Image, Text
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
