"""`mmagent new` writes files that pass their own tests, the linter and the type checker as they are."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from mmagent.cli.exits import OK, USAGE
from mmagent.conformance import CHECKS, check, load_file, sample
from mmagent.scaffold.bodies import MAKES, READS, SETTINGS

Command = Callable[..., Result]


ROOT = Path(__file__).parents[2]


def passes(folder: Path, *words: str) -> None:
    """A Python module's command, run in `folder`, succeeds."""
    done = subprocess.run([sys.executable, "-m", *words], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_new_files_are_clean_and_their_tests_pass(mm: Command, tmp_path: Path) -> None:
    assert mm("new", "tool", "sonify", "--from", "image", "--to", "audio", "--dir", tmp_path).exit_code == OK
    assert mm("new", "modality", "night-depth", "--dir", tmp_path).exit_code == OK
    written = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.py"))
    assert written == [
        "tests/test_night_depth.py", "tests/test_sonify.py", "tools/night_depth.py", "tools/sonify.py",
    ]  # fmt: skip
    for line_length in ("88", "120"):
        passes(tmp_path, "ruff", "format", "--isolated", "--check", "--line-length", line_length, ".")
    rules = "E,F,I,B,UP,SIM,C4,RET,PTH,RUF"
    passes(tmp_path, "ruff", "check", "--isolated", "--ignore", "E501", "--select", rules, ".")
    passes(tmp_path, "mypy", "--strict", "--no-incremental", *written)
    passes(tmp_path, "pytest", "-q", "-p", "no:cacheprovider", "-o", "asyncio_default_fixture_loop_scope=function")


@pytest.mark.parametrize(("source", "target"), list(itertools.product(READS, READS)))
def test_a_new_tool_of_any_modalities_is_what_its_card_says(mm: Command, shelf: Path, source: str, target: str) -> None:
    assert mm("new", "tool", "first-try", "--from", source, "--to", target, "--dir", shelf).exit_code == OK
    (tool,) = load_file(shelf / "tools" / "first_try.py")
    inside = [name for name in CHECKS if name != "constructor"]
    assert [str(finding) for finding in check(tool, only=inside) if finding.status == "fail"] == []
    (port,) = tool.card.inputs
    first, second = (tool.make({}).run(**{port.name: sample(port, variant=n)}) for n in (0, 1))
    assert (port.modality, first.modality) == (source, target)
    assert first != second


def test_our_modalities_have_their_bodies() -> None:
    assert set(READS) == set(MAKES) == set(SETTINGS)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "target"), [("night-depth", "text"), ("image", "night-depth"), ("night-depth",) * 2]
)
def test_a_new_tool_can_be_for_a_modality_of_ones_own(mm: Command, shelf: Path, source: str, target: str) -> None:
    assert mm("new", "modality", "night-depth", "--dir", shelf).exit_code == OK
    assert mm("new", "tool", "first-try", "--from", source, "--to", target, "--dir", shelf).exit_code == OK
    passes(shelf, "ruff", "format", "--isolated", "--check", ".")
    passes(shelf, "ruff", "check", "--isolated", "--ignore", "E501", "--select", "E,F,I,B,UP", ".")
    passes(shelf, "pytest", "-q", "-p", "no:cacheprovider", "tests/test_first_try.py")


def test_a_modality_that_nobody_declares_is_refused(mm: Command, shelf: Path) -> None:
    for option in ("--from", "--to"):
        result = mm("new", "tool", "first-try", option, "depht", "--dir", shelf)
        assert result.exit_code == USAGE
        assert f"'{option}': there is no 'depht' among text, image" in " ".join(result.stderr.split())
    assert list(shelf.rglob("*.py")) == []


def test_a_new_modality_is_known_to_the_command_line(mm: Command, shelf: Path) -> None:
    assert mm("new", "modality", "warmth", "--dir", shelf).exit_code == OK
    listed = json.loads(mm("tools", "list", "--modality", "warmth", "--json").stdout)
    assert [item["name"] for item in listed] == ["warmth-picture.v1"]
    assert mm("tools", "check", "warmth-picture").exit_code == OK


def test_nothing_is_overwritten(mm: Command, tmp_path: Path) -> None:
    mm("new", "tool", "sonify", "--dir", tmp_path)
    path = tmp_path / "tests" / "test_sonify.py"
    path.write_text("mine")
    (tmp_path / "tools" / "sonify.py").unlink()
    result = mm("new", "tool", "sonify", "--dir", tmp_path)
    assert result.exit_code == USAGE
    assert "is there already" in result.stderr
    assert path.read_text() == "mine"
    assert not (tmp_path / "tools" / "sonify.py").exists()


@pytest.mark.parametrize("name", ["Sonify", "two words", "../up", "class", "tool", "image", "", "1st", "a--b"])
def test_names_that_cannot_be_are_refused(mm: Command, tmp_path: Path, name: str) -> None:
    for kind in ("tool", "modality"):
        result = mm("new", kind, name, "--dir", tmp_path)
        assert result.exit_code == USAGE
        assert list(tmp_path.iterdir()) == []
