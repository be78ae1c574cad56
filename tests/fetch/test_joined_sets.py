"""Sets that come with the package, and sets that share files with another."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mmagent import fetch
from mmagent.errors import DigestMismatch, Offline
from mmagent.fetch import catalogue
from mmagent.fetch.catalogue import Part, WeightSet
from mmagent.fetch.sources import File, Shipped


@pytest.fixture
def joined(
    tmp_path: Path, payload: File, content: bytes, register: Callable[..., WeightSet], monkeypatch: pytest.MonkeyPatch
) -> WeightSet:
    """A set of one shipped file, with the file of the set "tiny" in a folder beside it."""
    for name in ("ours", "theirs"):
        (tmp_path / name).mkdir()
    (tmp_path / "theirs" / "model.bin").write_bytes(content)
    (tmp_path / "ours" / "unet.bin").write_bytes(b"ours")
    register(Shipped(tmp_path / "theirs"))
    own = File("unet.bin", hashlib.sha256(b"ours").hexdigest(), 4)
    part = Part("tiny", {"model.bin": "text_encoder/model.bin"})
    entry = WeightSet("joined", "a test", "CC0-1.0", "nobody", (own,), (Shipped(tmp_path / "ours"),), parts=(part,))
    monkeypatch.setattr(catalogue, "SETS", {**catalogue.SETS, "joined": entry})
    monkeypatch.setattr("mmagent.fetch.SETS", catalogue.SETS)
    return entry


def test_a_set_is_joined_with_files_of_another(joined: WeightSet, content: bytes) -> None:
    folder = fetch.fetch("joined")
    assert (folder / "unet.bin").read_bytes() == b"ours"
    assert (folder / "text_encoder" / "model.bin").read_bytes() == content
    assert fetch.missing(["joined", "tiny"]) == []
    assert fetch.fetch("joined") == folder  # and is whole when it is looked at again


def test_other_parts_make_other_weights(joined: WeightSet) -> None:
    elsewhere = replace(joined, parts=(Part("tiny", {"model.bin": "elsewhere.bin"}),))
    assert len({joined.digest, elsewhere.digest, replace(joined, parts=()).digest}) == 3


def test_shipped_files_that_were_changed_or_lost_are_not_taken(joined: WeightSet, tmp_path: Path) -> None:
    (tmp_path / "ours" / "unet.bin").write_bytes(b"else")
    with pytest.raises(DigestMismatch, match=r"unet\.bin from mmagent's own files"):
        fetch.fetch("joined")
    (tmp_path / "ours" / "unet.bin").unlink()
    with pytest.raises(Offline, match="pip install --force-reinstall --no-deps mmagent"):
        fetch.fetch("joined")
    assert not fetch.location("joined").exists()
