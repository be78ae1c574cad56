"""The rules of the house that a machine can check: import direction, lightness, packaging, public names."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "mmagent"

LAYERS = [
    "errors",
    "card",
    "intake",
    "media",
    "context",
    "signature",
    "tool",
    "shelf",
    "tools",
    "registry",
    "graph",
    "conversation",
    "engine",
    "trace",
    "fetch",
    "checkpoint",
    "diffusion",
    "forecast",
    "model",
    "router",
    "reply",
    "step",
    "turn",
    "replay",
    "agent",
    "training",
    "evaluation",
    "adapters",
    "pocket",
    "testing",
    "conformance",
    "scaffold",
    "cli",
]
"""Lower rooms first: a room imports itself and rooms to its left. docs/architecture.md says what each is for."""

_PUBLIC = ("", ".tool", ".media", ".errors", ".fetch", ".checkpoint", ".diffusion", ".pocket.encoders")
PUBLIC = {f"mmagent{module}" for module in _PUBLIC}
"""Modules that tools may import."""

FREE = {"__init__", "__main__"}


def rooms() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        inside = path.relative_to(PACKAGE)
        yield inside.parts[0].removesuffix(".py"), path


def imported(path: Path) -> Iterator[tuple[str, int]]:
    """Our rooms that a file imports anywhere, for type checking alone excepted."""
    tree = ast.parse(path.read_text())
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only or not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom) and node.module == "mmagent":
            names = [f"mmagent.{alias.name}" for alias in node.names]
        for name in names:
            if name.startswith("mmagent."):
                yield name.split(".")[1], node.lineno


def test_every_room_has_its_place_in_the_order() -> None:
    assert {room for room, _ in rooms()} - FREE == set(LAYERS)


def test_imports_point_one_way() -> None:
    order = {room: place for place, room in enumerate(LAYERS)}
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}, which lies above {room}"
        for room, path in rooms()
        if room not in FREE
        for name, line in imported(path)
        if name in order and order[name] > order[room]
    ]
    assert not wrong, "\n".join(wrong)


def test_an_upward_import_would_be_found(tmp_path: Path) -> None:
    low = tmp_path / "media.py"
    low.write_text("def f():\n    from mmagent.agent import Agent\n")
    assert list(imported(low)) == [("agent", 2)]


def test_the_core_imports_no_tool() -> None:
    for _, path in rooms():
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not any(name == "tools" or name.startswith(("tools.", "mmagent.tools.")) for name in names), path


def test_tools_import_only_public_names() -> None:
    for path in sorted((ROOT / "tools").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mmagent"):
                assert node.module in PUBLIC, f"{path}: {node.module}"


def test_public_names_are_sorted_and_exist() -> None:
    import mmagent

    assert mmagent.__all__ == sorted(mmagent.__all__)
    for name in mmagent.__all__:
        assert getattr(mmagent, name) is not None


@pytest.mark.parametrize("statement", ["import mmagent", "from mmagent import Agent, Graph, Image, tool"])
def test_importing_is_light(statement: str) -> None:
    code = f"{statement}\nimport sys\nprint(*sorted(set(sys.modules) & set('torch transformers langchain_core networkx diffusers onnxruntime'.split())))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert loaded == []


def test_the_tools_folder_is_no_package() -> None:
    assert not (ROOT / "tools" / "__init__.py").exists()


def test_no_file_is_too_long() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for folder in ("mmagent", "tools", "examples", "benchmarks", "tests")
        for path in (ROOT / folder).rglob("*.py")
        if (lines := len(path.read_text().splitlines())) > 500
    }
    assert not long


def test_every_dependency_has_a_lower_bound_and_a_pin() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = {
        line.split("==")[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    }
    wanted = [
        *project["dependencies"],
        *(item for extra in ("video", "local", "pocket") for item in project["optional-dependencies"][extra]),
    ]
    for requirement in wanted:
        if requirement.startswith("mmagent["):
            continue
        name = requirement.split(">")[0].split("=")[0].lower()
        assert ">=" in requirement or "==" in requirement, requirement
        assert name in pinned, f"{name} is not pinned in constraints.txt"
