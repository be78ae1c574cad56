"""`mmagent doctor`: each thing that is missing, the command that gets it, and an exit code."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import Result

from mmagent.cli.exits import FINDINGS, OK, USAGE

Command = Callable[..., Result]


class Usage(NamedTuple):
    total: int
    used: int
    free: int


@pytest.fixture
def whole(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An installation that lacks nothing: every set of weights is there, the cache is empty and roomy."""
    monkeypatch.setenv("MMAGENT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("mmagent.fetch.missing", lambda names: [])
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**12, 0, 10**12))


def items(result: Result) -> dict[str, Any]:
    """The items of `doctor --json` by name."""
    return {item["name"]: item for item in json.loads(result.stdout)["items"]}


def test_a_whole_installation_exits_0(mm: Command, whole: None) -> None:
    result = mm("doctor")
    assert result.exit_code == OK, result.stdout
    assert result.stdout.endswith("pocket has all that it needs\n")
    assert "MISS" not in result.stdout


def test_absent_weights_exit_1_with_the_command_that_fetches_them(
    mm: Command, whole: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mmagent.fetch.missing", lambda names: [name for name in names if "moonshine" in name])
    result = mm("doctor", "--json")
    found = items(result)["weights moonshine-tiny-en"]
    assert result.exit_code == FINDINGS
    assert json.loads(result.stdout)["ok"] is False
    assert (found["ok"], found["needed"]) == (False, True)
    assert found["command"] == "mmagent fetch moonshine-tiny-en"
    assert "→ mmagent fetch moonshine-tiny-en" in mm("doctor").stdout


@pytest.mark.parametrize(
    ("version", "said"), [(None, "onnxruntime is not installed"), ("0.1", "onnxruntime is 0.1, >=")]
)
def test_an_absent_or_old_library_of_a_needed_extra_exits_1(
    mm: Command, whole: None, monkeypatch: pytest.MonkeyPatch, version: str | None, said: str
) -> None:
    true = metadata.version

    def installed(name: str) -> str:
        if name != "onnxruntime":
            return true(name)
        if version is None:
            raise metadata.PackageNotFoundError(name)
        return version

    monkeypatch.setattr(metadata, "version", installed)
    result = mm("doctor", "--json")
    found = items(result)["libraries of the extra pocket"]
    assert result.exit_code == FINDINGS
    assert said in found["detail"]
    assert found["command"] == "pip install 'mmagent[pocket]'"


def test_a_full_disk_exits_1(mm: Command, whole: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**12, 10**12 - 5, 5))
    result = mm("doctor", "--json")
    assert result.exit_code == FINDINGS
    assert "5 B free" in items(result)["free disk"]["detail"]


def test_a_cache_that_cannot_be_written_exits_1(mm: Command, whole: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(**options: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refused)
    result = mm("doctor", "--json")
    assert result.exit_code == FINDINGS
    assert "Permission denied" in items(result)["cache"]["detail"]
    assert items(result)["cache"]["command"].startswith("export MMAGENT_CACHE=")


def test_a_users_broken_tool_is_shown_but_is_not_needed(mm: Command, whole: None, shelf: Path) -> None:
    (shelf / "tools" / "bad.py").write_text("import nothing_of_this_name\n")
    result = mm("doctor", "--json")
    found = items(result)["tool file bad"]
    assert result.exit_code == OK
    assert "nothing_of_this_name" in found["detail"]
    assert found["command"] == f"mmagent tools check {shelf / 'tools' / 'bad.py'}"


def test_an_unknown_model_is_wrong_usage(mm: Command, whole: None) -> None:
    assert mm("doctor", "--model", "gigantic").exit_code == USAGE
