"""Every example runs as it is, on the real weights where it uses a model."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


def run(name: str, *arguments: str | Path) -> str:
    done = subprocess.run(
        [sys.executable, EXAMPLES / name, *arguments], capture_output=True, text=True, cwd=arguments[0]
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_modality_of_ones_own(tmp_path: Path) -> None:
    out = run("define_modality.py", tmp_path)
    assert "ball.depth opens as the same value: True" in out
    assert "agent: Depth(" in out and "by scan-depth.v1" in out
    assert "agent: Image(" in out and "by depth-picture.v1" in out
    assert {"ball.depth", "1.txt", "2.depth", "trace.html"} <= {path.name for path in tmp_path.iterdir()}


@pytest.mark.slow
def test_the_shelf_of_a_modality_of_ones_own_is_in_order(tmp_path: Path) -> None:
    environment = {**os.environ, "MMAGENT_PATH": str(EXAMPLES / "depth")}
    command = [sys.executable, "-m", "mmagent"]
    done = subprocess.run(
        [*command, "tools", "check", EXAMPLES / "depth" / "tools" / "depth.py"],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("types") == 5, done.stdout
    np.save(tmp_path / "scan.npy", np.random.default_rng(0).uniform(-0.5, 0.5, (4000, 3)).astype("float32"))
    done = subprocess.run(
        [*command, "graph", "run", "simple-relief", "scan=scan.npy", "--out", "out"],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "out").glob("*.depth"))) == 2


def test_tools_and_an_agent_inside_langchain(tmp_path: Path) -> None:
    out = run("langchain_tools.py", tmp_path)
    assert "resize: image media:" in out and "chain: It sounds like this:" in out
    assert (tmp_path / "reply.wav").exists()


def test_a_chat_model_that_speaks_for_an_agent(tmp_path: Path) -> None:
    out = run("chat_model.py", tmp_path)
    assert "reply: These are its colours: Image(" in out and "it took: Usage(input_tokens=" in out
    assert "  tool: '[image 2]'" in out and "[image 1: red" in out and "base64" not in out
    assert {"1.txt", "2.png", "3.wav", "trace.html"} <= {path.name for path in tmp_path.iterdir()}


def test_tools_over_mcp_both_ways(tmp_path: Path) -> None:
    out = run("mcp_tools.py", tmp_path)
    assert "by stripes-draw.v1" in out and "served: resize frames-video" in out and "film: video: frames 2" in out
    assert (tmp_path / "flag.png").exists() and (tmp_path / "film.mkv").exists()


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


def test_every_example_is_run_by_a_test() -> None:
    tested = "".join(path.read_text("utf-8") for path in Path(__file__).parent.rglob("test_*.py"))
    for path in EXAMPLES.glob("*.py"):
        assert f'"{path.name}"' in tested, path
