"""What only a real process shows: a terminal on its streams, and Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mmagent.cli.exits import INTERRUPTED, OK

pty = pytest.importorskip("pty")

TOOLS = '''
import time
from pathlib import Path

from mmagent import Context, Text, tool


@tool
def slow(text: Text, ctx: Context) -> Text:
    """Reverse a text, letter by letter."""
    for step in range(20):
        ctx.progress(step, 20)
        time.sleep(0.02)
    return Text(text.text[::-1])


@tool
def endless(text: Text, ctx: Context) -> Text:
    """Say in a file that it has begun, and wait to be cancelled."""
    Path(text.text).write_text("begun")
    while True:
        ctx.check()
        time.sleep(0.01)
'''
GRAPH = "graph: {0}\ninputs: {{text: text}}\nnodes:\n  node: {{tool: {0}.v1, in: {{text: text}}}}\noutputs: {{text: node}}\n"


@pytest.fixture(autouse=True)
def slow_shelf(shelf: Path) -> Path:
    (shelf / "tools" / "patience.py").write_text(TOOLS)
    for name in ("slow", "endless"):
        (shelf / "graphs" / f"{name}.yaml").write_text(GRAPH.format(name))
    return shelf


def on_a_terminal(*words: str) -> tuple[int, str]:
    """The exit code of a command whose streams are one terminal, and all that the terminal was sent."""
    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120"}
    child = subprocess.Popen(
        [sys.executable, "-m", "mmagent", *words],
        stdin=follower, stdout=follower, stderr=follower, env=environment,
    )  # fmt: skip
    os.close(follower)
    shown = b""
    try:
        while piece := os.read(leader, 65536):
            shown += piece
    except OSError:  # what Linux raises when the other side is closed
        pass
    finally:
        os.close(leader)
    return child.wait(), shown.decode()


def test_a_terminal_gets_a_table_with_a_head() -> None:
    code, shown = on_a_terminal("graph", "list")
    assert code == OK
    assert "graph" in shown.splitlines()[0]
    assert "\t" not in shown


def test_a_terminal_gets_a_bar_for_a_node_that_runs_and_then_its_result() -> None:
    code, shown = on_a_terminal("graph", "run", "slow", "text=abc")
    assert code == OK, shown
    assert "━" in shown
    assert "finished" not in shown
    assert shown.rstrip().endswith("text: cba")


def test_quiet_draws_no_bar() -> None:
    code, shown = on_a_terminal("graph", "run", "slow", "text=abc", "--quiet")
    assert (code, shown) == (OK, "text: cba\r\n")


def test_ctrl_c_cancels_the_run_and_exits_130(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    child = subprocess.Popen(
        [sys.executable, "-m", "mmagent", "graph", "run", "endless", f"text={begun}"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while not begun.exists() and child.poll() is None:
        time.sleep(0.02)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert (child.returncode, out) == (INTERRUPTED, ""), err
    assert err.endswith("interrupted\n")
    assert "Traceback" not in err
