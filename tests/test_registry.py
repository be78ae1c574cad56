from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mmagent import Text, tool
from mmagent.errors import BrokenTool, CardError, UnknownName
from mmagent.registry import Registry, forget, registry
from mmagent.shelf import graph_files, own_shelf, shelves, tool_files

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
    for name in tool_files():
        forget(name)
    yield tmp_path
    for name in tool_files():
        forget(name)


def define(shelf: Path, file: str, name: str) -> Path:
    """A file on the shelf that defines a tool of that name."""
    path = shelf / "tools" / file
    path.write_text(
        f"from mmagent import Text, tool\n\n@tool(name={name!r})\ndef f(text: Text) -> Text:\n    return text\n"
    )
    return path


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of installed packages whose one distribution declares entry points."""
    root = tmp_path / "site"
    (root / "loud_tools").mkdir(parents=True)
    (root / "loud_tools-1.0.dist-info").mkdir()
    (root / "loud_tools-1.0.dist-info" / "METADATA").write_text("Name: loud_tools\nVersion: 1.0\n")
    (root / "loud_tools" / "__init__.py").write_text("from loud_tools.impl import loud_speech\n\ndef plain(): ...\n")
    (root / "loud_tools" / "impl.py").write_text(GOOD.replace("shelf", "loud").replace("loud_shout", "loud_speech"))
    (root / "loud_tools" / "empty.py").write_text("")
    monkeypatch.syspath_prepend(root)
    yield root
    for name in [name for name in sys.modules if name.split(".")[0] == "loud_tools"]:
        del sys.modules[name]


def points(site: Path, **values: str) -> None:
    lines = "".join(f"{name} = {value}\n" for name, value in values.items())
    (site / "loud_tools-1.0.dist-info" / "entry_points.txt").write_text(f"[mmagent.tools]\n{lines}")
    importlib.invalidate_caches()


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


@pytest.mark.parametrize(
    "body",
    [
        "import sys\nsys.exit(3)\n",
        "raise KeyError\n",
        "def (:\n",
        "from mmagent import Text, tool\n@tool\ndef f(x): ...\n",
    ],
)
def test_a_file_that_cannot_be_imported_breaks_neither_listing_nor_lookup(shelf: Path, body: str) -> None:
    (shelf / "tools" / "shelf_quits.py").write_text(body)
    listed = {item.name: item for item in registry.listings()}
    assert listed["shelf_quits"].broken and listed["shelf-shout.v1"].card is not None
    assert registry.get("shelf-quits") is None
    with pytest.raises(BrokenTool, match=r"shelf_quits\.py fails to import"):
        registry.find("shelf-quits")


def test_a_file_answers_for_its_own_name_and_any_file_for_a_version(shelf: Path) -> None:
    define(shelf, "shelf_other.py", "shelf-shout.v7")
    define(shelf, "a_shelf.py", "shelf-shout.v3")
    assert registry.card("shelf-shout").name == "shelf-shout.v3"
    assert registry.card("shelf-shout.v7").name == "shelf-shout.v7"
    listed = {item.name: item for item in registry.listings()}
    assert listed["shelf-shout.v3"].origin == str(shelf / "tools" / "shelf_shout.py"), "what get() gives"
    assert listed["shelf-shout.v7"].origin == str(shelf / "tools" / "shelf_other.py")


def test_a_tool_in_the_file_of_its_name_is_found_without_importing_the_others(shelf: Path) -> None:
    before = set(sys.modules)
    assert registry.get("shelf-shout.v1") is not None
    loaded = {name for name in set(sys.modules) - before if name.startswith("mmagent.tools.")}
    assert loaded == {"mmagent.tools.shelf_shout"}


def test_a_file_that_hides_another_without_replacing_it_is_told_of(shelf: Path) -> None:
    mine, ours = define(shelf, "resize.py", "shrink.v1"), own_shelf().tools / "resize.py"
    listed = {item.name: item for item in registry.listings()}
    assert listed["shrink.v1"].origin == str(mine)
    assert listed["resize"].origin == str(ours) and f"hidden by {mine}" in listed["resize"].broken
    with pytest.raises(UnknownName, match=f"{ours}, which may have it, is hidden by {mine}; rename"):
        registry.find("resize.v1")


def test_a_file_that_replaces_another_is_not_told_of(shelf: Path) -> None:
    mine = define(shelf, "resize.py", "resize.v1")
    listed = {item.name: item for item in registry.listings()}
    assert listed["resize.v1"].origin == str(mine) and "resize" not in listed


def test_a_broken_file_hides_no_working_one(shelf: Path) -> None:
    mine, ours = shelf / "tools" / "resize.py", own_shelf().tools / "resize.py"
    mine.write_text("import a_library_that_is_not_there\n")
    with pytest.warns(RuntimeWarning, match=f"{mine} fails to import .*; {ours} stands in"):
        assert registry.card("resize.v1").outputs[0].modality == "image"
    listed = {item.name: item for item in registry.listings()}
    assert listed["resize.v1"].origin == str(ours)
    assert listed["resize"].origin == str(mine) and "a_library_that_is_not_there" in listed["resize"].broken
    with pytest.raises(BrokenTool, match="a_library_that_is_not_there"):
        registry.find("resize.v8")
    forget("resize")
    define(shelf, "resize.py", "resize.v8")
    assert registry.card("resize").name == "resize.v8"


def test_a_shelf_that_is_named_twice_hides_nothing_of_its_own(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "MMAGENT_PATH", os.pathsep.join([str(own_shelf().root), str(shelf), str(shelf), "~no-such-user/x"])
    )
    assert [item.own for item in shelves()] == [True, False, False]
    assert not [item for item in registry.listings() if "hidden" in item.broken]


def test_a_tool_may_have_any_name_that_a_module_may_have(shelf: Path) -> None:
    for name in ("refresh", "files", "shelves", "tool_folders"):
        define(shelf, f"{name}.py", f"{name.replace('_', '-')}.v1")
        assert registry.card(name.replace("_", "-")).short == name.replace("_", "-")
    assert len(registry.listings()) > 4


@pytest.mark.parametrize("value", ["loud_tools", "loud_tools.impl", "loud_tools.impl:loud_speech"])
def test_entry_points_name_packages_modules_or_tools(shelf: Path, site: Path, value: str) -> None:
    points(site, loud=value)
    assert registry.card("loud-speech").name.startswith("loud-speech.v")
    origins = {item.origin for item in registry.listings() if item.name == "loud-speech.v1"}
    assert origins == {f"entry point {value}"}


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("loud_tools:plain", "is not a tool; decorate"),
        ("loud_tools.empty", "loud_tools.empty defines no tool"),
        ("loud_tools:nothing", "AttributeError"),
        ("loud_tools.nowhere", "ModuleNotFoundError"),
    ],
)
def test_an_entry_point_that_gives_no_tool_is_listed_as_broken(shelf: Path, site: Path, value: str, why: str) -> None:
    points(site, loud_one=value)
    listed = {item.name: item for item in registry.listings()}
    assert why in listed["loud_one"].broken and listed["shelf-shout.v1"].card is not None
    with pytest.raises(BrokenTool, match=why):
        registry.find("loud-one.v1")


def test_malformed_metadata_of_a_package_leaves_the_shelves_as_they_are(shelf: Path, site: Path) -> None:
    (site / "loud_tools-1.0.dist-info" / "entry_points.txt").write_text("[mmagent.tools]\nno value here\n")
    listed = {item.name: item for item in registry.listings()}
    assert listed["mmagent.tools"].broken and listed["shelf-shout.v1"].card is not None
