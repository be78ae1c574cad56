from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mmagent import Text, tool
from mmagent.errors import BrokenTool, CardError, UnknownName
from mmagent.registry import Registry, forget, registry
from mmagent.shelf import graph_files, shelves

GOOD = """
from mmagent import Text, tool

@tool
def shelf_shout(text: Text) -> Text:
    "Say it louder."
    return Text(text.text.upper())

@tool(name="shelf-shout.v3")
def shout_more(text: Text) -> Text:
    return Text(text.text.upper() + "!")
"""


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "tools").mkdir()
    (tmp_path / "graphs").mkdir()
    (tmp_path / "tools" / "shelf_shout.py").write_text(GOOD)
    (tmp_path / "tools" / "shelf_broken.py").write_text("import a_library_that_is_not_there\n")
    monkeypatch.setenv("MMAGENT_PATH", str(tmp_path))
    yield tmp_path
    forget("shelf_shout")
    forget("shelf_broken")


def test_a_users_folder_is_found_by_name(shelf: Path) -> None:
    assert registry.card("shelf-shout.v1").doc == "Say it louder."


def test_without_version_the_highest_wins(shelf: Path) -> None:
    assert registry.card("shelf-shout").name == "shelf-shout.v3"


def test_a_broken_file_is_listed_with_its_cause_and_breaks_nothing_else(shelf: Path) -> None:
    listed = {item.name: item for item in registry.listings()}
    assert "a_library_that_is_not_there" in listed["shelf_broken"].broken
    assert listed["shelf-shout.v3"].card is not None
    with pytest.raises(BrokenTool, match="a_library_that_is_not_there"):
        registry.find("shelf-broken")


def test_an_unknown_name_gets_the_nearest(shelf: Path) -> None:
    with pytest.raises(UnknownName, match="shelf-shout"):
        registry.find("shelf-shuot")


def test_tools_added_in_python_win_and_copies_do_not_leak(shelf: Path) -> None:
    @tool(name="shelf-shout.v9")
    def mine(text: Text) -> Text:
        return text

    own = Registry()
    other = own.copy()
    other.add(mine)
    assert other.card("shelf-shout").name == "shelf-shout.v9"
    assert own.card("shelf-shout").name == "shelf-shout.v3"


def test_what_is_no_tool_cannot_be_added() -> None:
    with pytest.raises(CardError, match="decorate a typed function"):
        Registry().add(lambda: None)  # type: ignore[arg-type]


def test_users_shelves_come_first(shelf: Path) -> None:
    assert shelves()[0].root == shelf and shelves()[-1].own
    (shelf / "graphs" / "speak.yaml").write_text("graph: speak\n")
    assert graph_files()["speak"].parent.parent == shelf


def test_shipped_tools_are_listed_without_heavy_imports(shelf: Path) -> None:
    code = (
        "import sys; from mmagent.registry import registry\n"
        "print(*(f'{i.name}:{i.broken}' for i in registry.listings() if i.broken))\n"
        "print(*(m for m in ('torch','transformers','onnxruntime','diffusers','av','hibari') if m in sys.modules))"
    )
    env = {**os.environ, "MMAGENT_PATH": ""}
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env).stdout
    assert out.split() == []


def test_a_tool_is_pickled_by_its_true_module_name(shelf: Path) -> None:
    assert registry.find("shelf-shout.v1").__module__ == "mmagent.tools.shelf_shout"
