"""The small inputs that tools are tried on: distinct, obedient to constraints, and extended by users' modalities."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmagent.card import Port
from mmagent.conformance import sample
from mmagent.errors import MediaError
from mmagent.media import Media, modality

BUILT_IN = ("text", "image", "audio", "speech", "video", "points", "embedding", "conversation", "any")


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_built_in_modality_has_distinct_samples(name: str) -> None:
    first, same, other = (sample(Port("it", name), variant=variant) for variant in (0, 0, 1))
    assert first.modality == ("text" if name == "any" else name)
    assert first == same != other


@pytest.mark.parametrize(
    ("name", "constraints"),
    [
        ("image", {"width": 7, "height": 9, "channels": 4, "bits": 16}),
        ("audio", {"rate": 8000, "channels": 2, "seconds": 0.25}),
        ("speech", {"rate": 24000}),
        ("video", {"frames": 5, "width": 16, "height": 24, "fps": 5.0, "sound": True}),
        ("points", {"points": 10, "features": 6}),
        ("embedding", {"tokens": 3, "width": 5, "space": "sd15.text"}),
    ],
)
def test_samples_obey_constraints(name: str, constraints: dict[str, Any]) -> None:
    made = sample(Port("it", name, constraints=constraints)).describe()
    assert {key: made[key] for key in constraints} == constraints


@given(
    width=st.integers(1, 40), height=st.integers(1, 40), channels=st.sampled_from([1, 3, 4]),
    bits=st.sampled_from([8, 16]), variant=st.integers(0, 20),
)  # fmt: skip
def test_picture_samples_obey_any_constraints(width: int, height: int, channels: int, bits: int, variant: int) -> None:
    wanted = {"width": width, "height": height, "channels": channels, "bits": bits}
    assert sample(Port("it", "image", constraints=wanted), variant=variant).describe() == wanted


@given(rate=st.integers(1000, 48000), channels=st.integers(1, 4), variant=st.integers(0, 20))
def test_sound_samples_obey_any_constraints(rate: int, channels: int, variant: int) -> None:
    for name in ("audio", "speech"):
        facts = sample(Port("it", name, constraints={"rate": "$rate", "channels": channels}), {"rate": rate}, variant)
        assert (facts.describe()["rate"], facts.describe()["channels"]) == (rate, channels)


def test_a_constraint_that_no_sample_meets_asks_for_a_file() -> None:
    with pytest.raises(MediaError, match="--in it=FILE"):
        sample(Port("it", "image", constraints={"licence": "mine"}))


class Scent(Media, modality="scent-without-sample"):
    """A modality that brings no sample."""


class Taste(Media, modality="taste-with-sample"):
    """A modality that brings one."""

    @classmethod
    def sample(cls, variant: int = 0) -> Self:
        return cls({"taste": np.full(3, variant)})


def test_a_users_modality_brings_its_own_samples() -> None:
    assert isinstance(sample(Port("it", "taste-with-sample"), variant=2), Taste)
    assert modality("scent-without-sample") is Scent
    with pytest.raises(MediaError, match=r"sample\(cls, variant\)"):
        sample(Port("it", "scent-without-sample"))
