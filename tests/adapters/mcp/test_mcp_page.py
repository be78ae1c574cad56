"""docs/mcp.md tells the truth: its snippet runs, its configuration is a command, its commands are commands."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from mmagent.adapters.mcp.calls import ASK
from mmagent.adapters.mcp.serve import LARGEST_REQUEST
from mmagent.adapters.mcp.server import HOLD, INLINE, McpServer
from mmagent.cli.mcp import serve

PAGE = (Path(__file__).parents[3] / "docs" / "mcp.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


def test_the_snippet_runs(capsys: pytest.CaptureFixture[str]) -> None:
    [snippet] = blocks("python")
    exec(compile(snippet, "docs/mcp.md", "exec"), {})  # noqa: S102  # our own page
    assert capsys.readouterr().out == "{'small': Image(width=64, height=64, channels=1, bits=8)}\n"


def test_the_configuration_is_a_command_and_names_what_there_is(tmp_path: Path) -> None:
    [text] = blocks("json")
    [(_, server)] = json.loads(text)["mcpServers"].items()
    assert (server["command"], server["args"][:2]) == ("mmagent", ["mcp", "serve"])
    options = [str(tmp_path) if word.startswith("/") else word for word in server["args"][2:]]
    names = serve.make_context("serve", options).params["names"]
    assert list(McpServer(*names).offers) == ["image-tags", "resize", "say"]


def test_the_commands_are_commands(mm: Callable[..., Result]) -> None:
    commands = re.findall(r"^    mmagent (mcp serve.*?)(?:  #.*)?$", PAGE, flags=re.MULTILINE)
    assert len(commands) == 4
    for command in commands:
        serve.make_context("serve", shlex.split(command)[2:])  # raises for an option that there is not
    assert mm("mcp", "serve", "--help").exit_code == 0


def test_the_numbers_are_those_of_the_code() -> None:
    assert (f"{INLINE >> 10} KiB", f"({HOLD >> 20})", f"{LARGEST_REQUEST >> 20} MiB") == ("512 KiB", "(512)", "64 MiB")
    assert all(number in PAGE for number in ("512 KiB", "(512)", "64 MiB", f"`{ASK.short}`"))
