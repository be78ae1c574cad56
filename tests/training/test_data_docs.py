"""The page on data: its snippets run one after another, and its JSON is a record."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from mmagent.training import data
from mmagent.training.data import Folder, Template, schema
from mmagent.training.data.reference import InFile

PAGE = (Path(__file__).parents[2] / "docs" / "training-data.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


def test_the_snippets_run_and_say_what_they_should(tmp_path: Path) -> None:
    (script := tmp_path / "page.py").write_text("\n".join(blocks("python")), "utf-8")
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "((False, False), (True,))" and lines[2:] == ["[]", "True", "{(8, 3)}", "{(8, 3)}"]


def test_its_record_is_one() -> None:
    (line,) = blocks("json")
    record = schema.parse(line, "page", lambda path, modality: InFile(modality, Path(path)))
    assert [Path(item.place).name for item in record.media] == ["cat.png", "2.png"]


@pytest.mark.parametrize("name", data.__all__)
def test_public_names_are_sorted_and_exist(name: str) -> None:
    assert getattr(data, name) is not None and data.Folder is Folder


def test_every_template_is_named() -> None:
    assert all(f"`{name}`" in PAGE for name in Template.names())
