"""Weights of judges: what was saved is what is loaded, and nothing else is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from mmagent.errors import DigestMismatch, ModelError
from mmagent.pocket.judges import shipped
from mmagent.pocket.judges.judges import JUDGES


def net() -> torch.nn.Linear:
    return torch.nn.Linear(3, 2)


def test_weights_come_back_as_they_were_in_half_precision(tmp_path: Path) -> None:
    saved = net()
    path = shipped.save(saved, "small", ("cat", "none"), tmp_path)
    shipped.save(net(), "other", ("cat", "none"), tmp_path)
    loaded = shipped.load(net(), "small", ("cat", "none"), tmp_path)
    assert torch.equal(loaded.weight, saved.weight.half().float())
    assert not loaded.training
    assert sorted(json.loads((tmp_path / shipped.DIGESTS).read_text())) == ["other.safetensors", path.name]


def test_weights_that_are_not_what_their_digest_tells_are_refused(tmp_path: Path) -> None:
    path = shipped.save(net(), "small", ("cat", "none"), tmp_path)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(
        DigestMismatch, match=r"small\.safetensors has sha256 \w{64}, but digests\.json beside it tells"
    ):
        shipped.load(net(), "small", ("cat", "none"), tmp_path)
    (tmp_path / shipped.DIGESTS).unlink()
    with pytest.raises(DigestMismatch):
        shipped.load(net(), "small", ("cat", "none"), tmp_path)


def test_weights_for_other_classes_and_missing_ones_are_refused_with_what_to_do(tmp_path: Path) -> None:
    shipped.save(net(), "small", ("cat", "none"), tmp_path)
    with pytest.raises(ModelError, match="trained on other classes than the world has now"):
        shipped.load(net(), "small", ("dog", "none"), tmp_path)
    with pytest.raises(ModelError, match=r"python -m mmagent\.pocket\.judges train --out .* big"):
        shipped.load(net(), "big", ("cat", "none"), tmp_path)


def test_what_is_shipped_is_half_precision_and_small() -> None:
    files = sorted(shipped.WEIGHTS.glob("*.safetensors"))
    assert [path.stem for path in files] == sorted(JUDGES)
    assert sum(path.stat().st_size for path in files) <= 3_000_000
    for path in files:
        with safe_open(path, "pt") as file:
            assert {str(file.get_slice(name).get_dtype()) for name in file.keys()} == {"F16"}  # noqa: SIM118  # no mapping
