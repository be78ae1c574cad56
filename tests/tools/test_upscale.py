"""Pictures made larger: exactly as often as asked, and smoothly or pixel by pixel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmagent import Image, load_tool
from mmagent.conformance import check
from mmagent.registry import registry


def picture(width: int, height: int, channels: int) -> Image:
    values = np.arange(width * height * channels) % 251
    return Image(values.reshape(height, width, channels).astype("uint8"))


@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3, 4]), st.integers(1, 5))
def test_nearest_repeats_each_pixel(width: int, height: int, channels: int, factor: int) -> None:
    upscale: Any = load_tool("upscale.v1")
    given = picture(width, height, channels)
    made = upscale.run(given, factor=factor, by="nearest")
    np.testing.assert_array_equal(made.array, given.array.repeat(factor, axis=0).repeat(factor, axis=1))


def test_lanczos_is_smooth() -> None:
    upscale: Any = load_tool("upscale.v1")
    halves = np.zeros((8, 8, 3), "uint8")
    halves[:, 4:] = 200
    made = upscale.run(Image(halves), factor=4).array
    assert made.shape == (32, 32, 3)
    assert len(np.unique(made)) > 4
    assert made[0, 0, 0] == 0 and made[0, -1, 0] == 200


def test_a_picture_that_stays_as_it_is_comes_back_itself() -> None:
    upscale: Any = load_tool("upscale.v1")
    given = picture(3, 2, 3)
    assert upscale.run(given, factor=1) is given
    with pytest.raises(ValueError, match="factor is 1 or more, not 0"):
        upscale.run(given, factor=0)


def test_it_is_what_its_card_says_and_comes_in_by_no_route() -> None:
    assert registry.card("upscale.v1").lossy
    failed = [finding for finding in check(registry.find("upscale.v1")) if finding.status == "fail"]
    assert not failed
