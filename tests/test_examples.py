"""Every example runs as it is, on the real weights where it uses a model."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


def run(name: str, *arguments: str | Path) -> str:
    done = subprocess.run(
        [sys.executable, EXAMPLES / name, *arguments], capture_output=True, text=True, cwd=arguments[0]
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_modality_of_ones_own(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, EXAMPLES / "define_modality.py"], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "depth" in done.stdout.lower()


@pytest.mark.weights
@pytest.mark.timeout(600)
def test_a_tool_of_ones_own(tmp_path: Path) -> None:
    out = run("define_tool.py", tmp_path)
    assert "graph: Audio(" in out and "agent: Audio(" in out and "by sonify.v1" in out
    assert (tmp_path / "melody.wav").exists() and list(tmp_path.glob("*.wav")) != [tmp_path / "melody.wav"]


@pytest.mark.weights
@pytest.mark.timeout(600)
def test_an_assistant(tmp_path: Path) -> None:
    out = run("build_assistant.py", tmp_path)
    assert "cat" in out.lower()
    assert {"1.txt", "2.wav", "trace.html"} <= {path.name for path in tmp_path.iterdir()}


@pytest.mark.weights
@pytest.mark.timeout(600)
def test_any_to_any(tmp_path: Path) -> None:
    out = run("any_to_any.py", tmp_path)
    assert "[0" not in out.splitlines()[0] and "saved:" in out
    assert (tmp_path / "2.wav").exists()


def test_every_example_is_run_here() -> None:
    tested = Path(__file__).read_text("utf-8")
    for path in EXAMPLES.glob("*.py"):
        assert f'"{path.name}"' in tested, path
