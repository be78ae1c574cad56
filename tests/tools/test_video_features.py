"""Features of videos: what the image encoder sees in frames, with when and where."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mmagent import Image, Video, load_tool
from mmagent.errors import CardError
from mmagent.registry import registry


def port(**settings: Any) -> dict[str, Any]:
    return dict(registry.find("video-features").card_for(settings).outputs[0].constraints)


def test_the_card_follows_the_settings() -> None:
    assert port() == {"tokens": 392, "width": 1283, "space": "efficientnet-lite0.grid.video"}
    assert port(side=64, layer=8, pool=2, frames=4) == {
        "tokens": 16, "width": 83, "space": "efficientnet-lite0.grid.64.8.video.4.2",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "fault"),
    [({"frames": 0}, "1 frame or more, not 0"), ({"pool": 2}, "a grid of 7 places a side, which 2 does not divide")],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, int], fault: str) -> None:
    with pytest.raises(CardError, match=fault):
        port(**settings)


@pytest.mark.weights
def test_states_are_those_of_frames_with_when_and_where() -> None:
    frames = np.random.default_rng(0).integers(0, 255, (10, 64, 64, 3)).astype("uint8")
    made: Any = load_tool("video-features", side=64, layer=8, frames=5)
    states = made.run(Video(frames, fps=8)).array.reshape(5, 4, 4, 83)
    eye: Any = load_tool("image-features", side=64, layer=8)
    for number in range(5):
        alone = eye.run(Image(frames[2 * number + 1])).array.reshape(4, 4, 80)
        np.testing.assert_allclose(states[number, ..., :80], alone, rtol=1e-5, atol=1e-5)
    assert states[0, 0, 0, 80:].tolist() == [-1, -1, -1] and states[4, 3, 0, 80:].tolist() == [1, 1, -1]
    pooled: Any = load_tool("video-features", side=64, layer=8, frames=5, pool=4)
    few = pooled.run(Video(frames, fps=8)).array
    np.testing.assert_allclose(few[:, :80], states[..., :80].mean(axis=(1, 2)), rtol=1e-5, atol=1e-5)
    one = made.run(Video(frames[:1], fps=8)).array.reshape(5, 4, 4, 83)
    np.testing.assert_array_equal(one[0, ..., :80], one[4, ..., :80])
