"""The page on chat models: its Python runs, its YAML makes a model, its tables are true."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mmagent import load_model
from mmagent.model.chat import ChatReasoner
from mmagent.model.chat.failures import _FIXES
from mmagent.model.chat.providers import PROVIDERS

PAGE = (Path(__file__).parents[2] / "docs" / "chat-models.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


def test_its_python_runs(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(blocks("python"))], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "Text" in done.stdout and "Usage(" in done.stdout and "USD" in done.stdout


def test_its_yaml_makes_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    [source] = blocks("yaml")
    for text in (source, source.replace("# base_url", "base_url").replace("# options", "options")):
        (tmp_path / "model.yaml").write_text(text)
        found = load_model(str(tmp_path))
        assert isinstance(found, ChatReasoner) and found.sees == ("image",) and found.price is not None
        found.load()


def test_its_tables_are_true() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `([\w-]+)` \| `(\w+)` \| `?(\w+)`? \|$", PAGE, flags=re.MULTILINE)
    assert rows == [(name, item.package, item.kind, item.variable or "none") for name, item in PROVIDERS.items()]
    for name in list(inspect.signature(ChatReasoner).parameters)[1:]:
        assert f"`{name}`" in PAGE, name
    told = " ".join(re.findall(r"`([a-z ]+)`", PAGE)).split()
    assert set(_FIXES) <= set(told)
