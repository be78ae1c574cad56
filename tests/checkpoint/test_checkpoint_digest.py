"""A digest tells checkpoints apart, and is not computed twice."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from mmagent.checkpoint import digest
from mmagent.checkpoint.digests import _content


def age(folder: Path, seconds: float = 60) -> None:
    for item in folder.iterdir():
        os.utime(item, (time.time() - seconds, time.time() - seconds))


def flip(path: Path) -> None:
    """Another last byte, the size kept."""
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


def test_a_copy_elsewhere_is_the_same_checkpoint(saved: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(saved, tmp_path / "elsewhere")
    assert digest(str(copy)) == digest(str(saved)) != ""


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "source.spm"])
def test_another_byte_in_weights_config_or_vocabulary_is_another_checkpoint(folder: Path, name: str) -> None:
    (folder / "source.spm").write_bytes(b"pieces")
    before = digest(str(folder))
    flip(folder / name)
    assert digest(str(folder)) != before


def test_a_file_of_weights_is_told_apart_by_the_configs_beside_it_too(folder: Path) -> None:
    before = digest(str(folder / "model.safetensors"))
    flip(folder / "config.json")
    assert digest(str(folder / "model.safetensors")) != before


def test_what_changes_no_result_does_not_count(folder: Path) -> None:
    before = digest(str(folder))
    (folder / "README.md").write_text("hello")
    (folder / "optimizer.pt").write_bytes(b"state")
    assert digest(str(folder)) == before


def test_a_file_is_read_once_and_again_when_it_was_touched(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = folder / "model.safetensors"
    monkeypatch.setattr("mmagent.checkpoint.digests._SETTLED", -1)  # times of a moment ago count as settled
    first = _content(weights)
    (note,) = (tmp_path / "cache/digests").glob("*.json")
    note.write_text(note.read_text().replace(first, "remembered"))
    assert _content(weights) == "remembered"
    age(folder)
    assert _content(weights) == first
    note.write_text("{")
    assert _content(weights) == first


def test_a_file_that_was_just_written_is_not_remembered(folder: Path, tmp_path: Path) -> None:
    age(folder)
    digest(str(folder))
    assert not (tmp_path / "cache/digests").exists()  # its status changed now, whatever its time says


def test_a_cache_that_cannot_be_written_does_no_harm(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mmagent.checkpoint.digests._SETTLED", -1)
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert digest(str(folder)) == digest(str(folder))
