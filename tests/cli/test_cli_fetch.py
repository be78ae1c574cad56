"""`mmagent fetch`: a set by name into the cache, what there is, and what cannot be had."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from mmagent import fetch
from mmagent.cli.exits import FETCH, OK, USAGE
from mmagent.fetch import catalogue
from mmagent.fetch.catalogue import WeightSet
from mmagent.fetch.sources import File

Command = Callable[..., Result]
CONTENT = b"weights" * 100


@pytest.fixture
def user_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, a catalogue of one small set, and the user's own folder of files as its only source."""
    entry = WeightSet(
        "tiny", "a test", "CC0-1.0", "nobody",
        (File("model.bin", hashlib.sha256(CONTENT).hexdigest(), len(CONTENT)),), (),
    )  # fmt: skip
    for module in (catalogue, fetch):
        monkeypatch.setattr(module, "SETS", {"tiny": entry})
        monkeypatch.setattr(module, "GROUPS", {"small": ("tiny",)})
    folder = tmp_path / "mine"
    folder.mkdir()
    monkeypatch.setenv("MMAGENT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MMAGENT_WEIGHTS", str(folder))
    return folder


def test_a_set_is_fetched_by_its_name_or_its_groups(mm: Command, user_folder: Path) -> None:
    (user_folder / "model.bin").write_bytes(CONTENT)
    result = mm("fetch", "small", "--json")
    assert result.exit_code == OK
    folder = Path(json.loads(result.stdout)["tiny"])
    assert (folder / "model.bin").read_bytes() == CONTENT
    assert "tiny: copying" in result.stderr
    (user_folder / "model.bin").unlink()
    again = mm("fetch", "tiny")
    assert again.stdout.split("\t") == ["tiny", f"{folder}\n"]
    assert again.stderr == ""


def test_quiet_says_nothing_but_the_folder(mm: Command, user_folder: Path) -> None:
    (user_folder / "model.bin").write_bytes(CONTENT)
    result = mm("fetch", "--all", "--quiet")
    assert (result.exit_code, result.stderr) == (OK, "")


def test_the_list_shows_what_is_here(mm: Command, user_folder: Path) -> None:
    assert mm("fetch", "--list").stdout.split("\t")[:4] == ["tiny", "absent", "700 B", "small"]
    (user_folder / "model.bin").write_bytes(CONTENT)
    mm("fetch", "tiny")
    (entry,) = json.loads(mm("fetch", "--list", "--json").stdout)
    assert (entry["name"], entry["size"], entry["groups"], entry["here"]) == ("tiny", 700, ["small"], True)
    assert Path(entry["folder"], "model.bin").is_file()


@pytest.mark.parametrize(("content", "said"), [(None, "could be had from no source"), (b"x" * len(CONTENT), "sha256")])
def test_what_cannot_be_had_whole_exits_7(mm: Command, user_folder: Path, content: bytes | None, said: str) -> None:
    if content is not None:
        (user_folder / "model.bin").write_bytes(content)
    result = mm("fetch", "tiny")
    assert (result.exit_code, result.stdout) == (FETCH, "")
    assert said in result.stderr


def test_names_are_needed_and_must_be_known(mm: Command, user_folder: Path) -> None:
    assert mm("fetch").exit_code == USAGE
    unknown = mm("fetch", "huge")
    assert unknown.exit_code == USAGE
    assert "there are small, tiny" in unknown.stderr
