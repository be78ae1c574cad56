"""A command to call in this process, and a shelf of one's own to call it on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mmagent.cli import main
from mmagent.media import MODALITIES

Command = Callable[..., Result]


@pytest.fixture
def mm() -> Command:
    """`mm("tools", "list")` runs `mmagent tools list`; exceptions that a command does not handle are raised."""

    def call(*words: object, stdin: str | None = None) -> Result:
        return CliRunner().invoke(main, list(map(str, words)), input=stdin, catch_exceptions=False)

    return call


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty shelf that MMAGENT_PATH names; what is imported from it is forgotten afterwards."""
    root = tmp_path / "shelf"
    (root / "tools").mkdir(parents=True)
    (root / "graphs").mkdir()
    monkeypatch.setenv("MMAGENT_PATH", str(root))
    modules, modalities = set(sys.modules), dict(MODALITIES)
    yield root
    for name in [name for name in sys.modules if name.startswith("mmagent.tools.") and name not in modules]:
        del sys.modules[name]
    MODALITIES.clear()
    MODALITIES.update(modalities)
