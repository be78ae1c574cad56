"""Everything the README shows runs, in the order in which it is shown, on the real weights."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")


def blocks(language: str, page: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    return tmp_path


@pytest.mark.weights
@pytest.mark.timeout(600)
def test_the_python_snippets_run_one_after_another(folder: Path) -> None:
    script = folder / "readme.py"
    script.write_text("\n".join(blocks("python")), "utf-8")
    done = subprocess.run([sys.executable, script], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Speech(rate=24000" in done.stdout and "('hum.v1',)" in done.stdout
    assert {"1.txt", "2.wav", "trace.html", "trace.json"} <= {path.name for path in (folder / "out").iterdir()}


COMMANDS = [line.split("#")[0].strip() for block in blocks("sh") for line in block.splitlines()]


@pytest.mark.weights
@pytest.mark.timeout(600)
@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("mmagent ")])
def test_the_commands_run(folder: Path, command: str) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        shlex.split(command), cwd=folder, capture_output=True, text=True, env={**os.environ, "PATH": path}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip()


ELSEWHERE = {"chat-models.md", "langchain.md", "mcp.md"}
"""Pages whose tests run their snippets and more."""

PAGES = [path.name for path in sorted((ROOT / "docs").glob("*.md")) if blocks("python", path.read_text("utf-8"))]


LIGHT = {"tools.md", "graphs.md"}


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=() if page in LIGHT else pytest.mark.library) for page in PAGES if page not in ELSEWHERE],
)
def test_the_snippets_of_the_docs_run(tmp_path: Path, page: str) -> None:
    script = tmp_path / "snippets.py"
    script.write_text("\n".join(blocks("python", (ROOT / "docs" / page).read_text("utf-8"))), "utf-8")
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_the_graphs_of_the_docs_check() -> None:
    from mmagent.graph import yaml
    from mmagent.graph.library import Library

    for source in blocks("yaml", (ROOT / "docs" / "graphs.md").read_text("utf-8")):
        assert Library().checked(yaml.parse(source)).nodes


def test_every_command_is_known() -> None:
    makes = [command for command in COMMANDS if command.startswith("make ")]
    assert makes == ["make demo", "make test"]
    assert all(command.startswith(("make ", "mmagent ")) for command in COMMANDS)
    for target in makes:
        subprocess.run([*target.split(), "--dry-run"], cwd=ROOT, check=True, capture_output=True)


def test_the_file_tree_is_true() -> None:
    section = README.split("## What is here")[1].split("##")[0]
    tree = re.findall(r"^    ([\w./]+)/? +\S", section, flags=re.MULTILINE)
    assert len(tree) > 8
    for name in tree:
        assert (ROOT / name).exists(), name


def test_links_lead_somewhere() -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
