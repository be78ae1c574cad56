"""The command group: light start, one line an error, exit codes, the traceback on demand."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import Result
from hypothesis import given
from hypothesis import strategies as st

from mmagent.cli.app import COMMANDS, main
from mmagent.cli.exits import (
    FAILED,
    FAULTS,
    FETCH,
    FINDINGS,
    INTAKE,
    INTERRUPTED,
    OK,
    TOOL,
    USAGE,
    code_of,
)
from mmagent.cli.output import printable, size
from mmagent.errors import (
    BrokenTool,
    Cancelled,
    CardError,
    Fault,
    GraphError,
    IntakeError,
    MissingExtra,
    MMAgentError,
    NodeFailed,
    Offline,
    UnknownName,
)

Command = Callable[..., Result]
DOCUMENT = Path(__file__).parents[2] / "docs" / "cli.md"
HEAVY = ("torch", "transformers", "langchain_core", "networkx", "pydantic", "numpy", "rich", "PIL", "yaml")


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom mmagent.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as done:\n    assert done.code == 0\n"
        f"print('HEAVY', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "HEAVY []"


@pytest.mark.parametrize("words", [["tools", "list"], ["graph", "list"], ["fetch", "--list"], ["plan", "speak"]])
def test_listing_and_planning_load_no_model_library(words: list[str]) -> None:
    code = (
        f"import sys\nfrom mmagent.cli import main\ntry:\n    main({words!r})\nexcept SystemExit as done:\n"
        "    assert done.code == 0\n"
        "print('HEAVY', [name for name in ('torch', 'transformers', 'onnxruntime', 'langchain_core') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "HEAVY []"


def documented() -> list[list[str]]:
    """The words of every command line in the documentation."""
    lines = (
        line.strip().split("  #")[0] for line in DOCUMENT.read_text().splitlines() if line.startswith("    mmagent ")
    )
    return [shlex.split(line)[1:] for line in lines]


@pytest.mark.parametrize("words", documented(), ids=" ".join)
def test_every_documented_command_line_is_understood(words: list[str]) -> None:
    command: click.Command = main
    context = click.Context(main)
    while isinstance(command, click.Group):
        name, *words = words
        found = command.get_command(context, name)
        assert found is not None, name
        command = found
    command.make_parser(context).parse_args([word for word in words if word not in ("-h", "--help")])


def test_the_documented_exit_codes_are_those_of_the_code() -> None:
    listed = [int(row) for row in re.findall(r"^\| (\d+) \|", DOCUMENT.read_text(), re.MULTILINE)]
    assert listed == [OK, FINDINGS, USAGE, FAULTS, TOOL, FAILED, INTAKE, FETCH, INTERRUPTED]
    assert listed == [0, 1, 2, 3, 4, 5, 6, 7, 130]


def test_help_lists_every_command_with_its_purpose(mm: Command) -> None:
    shown = mm("--help").stdout
    for name in COMMANDS:
        assert f"\n  {name} " in shown
    assert "Exit codes" in shown


def test_every_command_file_is_named_after_its_command() -> None:
    for name in COMMANDS:
        assert main.get_command(click.Context(main), name).name == name  # type: ignore[union-attr]  # it is listed
    assert main.get_command(click.Context(main), "app") is None


def test_version_is_printed(mm: Command) -> None:
    from mmagent import __version__

    assert mm("--version").stdout.strip().endswith(__version__)


def test_an_unknown_command_is_wrong_usage(mm: Command) -> None:
    assert mm("dance").exit_code == USAGE


def test_an_error_is_one_line_on_stderr(mm: Command) -> None:
    result = mm("tools", "show", "no-such-tool")
    assert result.exit_code == USAGE
    assert result.stdout == ""
    assert result.stderr.startswith("error: no tool 'no-such-tool'")
    assert result.stderr.count("\n") == 1


def test_debug_shows_the_traceback_and_keeps_the_exit_code(mm: Command) -> None:
    result = mm("--debug", "tools", "show", "no-such-tool")
    assert result.exit_code == USAGE
    assert "Traceback" in result.stderr


def test_an_error_that_is_not_ours_is_not_swallowed(mm: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    from mmagent.registry import Registry

    def broken(self: Registry) -> None:
        raise ZeroDivisionError("a fault of ours")

    monkeypatch.setattr(Registry, "listings", broken)
    with pytest.raises(ZeroDivisionError):
        mm("tools", "list")


def test_an_interrupt_exits_130(mm: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    from mmagent.registry import Registry

    def interrupted(self: Registry) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Registry, "listings", interrupted)
    result = mm("tools", "list")
    assert result.exit_code == 130
    assert result.stderr == "interrupted\n"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (GraphError("g", [Fault("g", "n", "p", "a", "b", "c")]), FAULTS),
        (BrokenTool("x"), TOOL),
        (MissingExtra("torch", "local", "x"), FAILED),
        (UnknownName("x"), USAGE),
        (CardError("x"), USAGE),
        (IntakeError("x"), INTAKE),
        (Offline("x"), FETCH),
        (Cancelled("x"), FAILED),
        (NodeFailed("say", "say.v1", ValueError("x")), FAILED),
        (NodeFailed("say", "say.v1", Offline("x")), FETCH),
    ],
)
def test_each_class_of_error_has_its_exit_code(error: MMAgentError, code: int) -> None:
    assert code_of(error) == code


def test_words_from_outside_cannot_steer_the_terminal() -> None:
    assert printable("one\ttwo\nthree é 猫") == "one\ttwo\nthree é 猫"
    assert printable("\x1b]0;title\x07\x1b[2Jgone\r\x9b31m\u202eback") == "]0;title[2Jgone31mback"


@given(st.text())
def test_printable_words_hold_no_control_but_tab_and_newline_and_stay_as_they_are(text: str) -> None:
    shown = printable(text)
    assert all(character in "\t\n" or unicodedata.category(character) != "Cc" for character in shown)
    assert printable(shown) == shown
    assert [item for item in text if item.isprintable()] == [item for item in shown if item.isprintable()]


def test_sizes_are_written_for_people() -> None:
    assert [size(n) for n in (0, 999, 1500, 93_000_000, 7_500_000_000)] == ["0 B", "999 B", "1.5 kB", "93 MB", "7.5 GB"]


def test_the_installed_command_and_the_module_are_the_same(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mmagent", "tools", "show", "no-such-tool"],
        capture_output=True, text=True, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (USAGE, "")
    assert done.stderr.startswith("error: ")
