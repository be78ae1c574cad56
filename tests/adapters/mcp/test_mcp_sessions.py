"""Sessions that are cancelled, run out of time, die, come back and are closed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from mcp import MCPError

from mmagent import Engine
from mmagent.adapters.mcp import McpTools, RemoteTimeout, ServerGone, mcp_tools
from mmagent.adapters.mcp.connection import Connection
from mmagent.adapters.mcp.transport import program
from mmagent.engine import CancelToken
from mmagent.errors import Cancelled, CardError, MissingExtra, NodeFailed
from mmagent.media import Text

if TYPE_CHECKING:
    from tests.adapters.mcp.conftest import Call, One


def wait_for(told: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not told():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def when(told: Callable[[], bool], then: Callable[[], object]) -> None:
    """Do something in another thread as soon as it is so."""

    def wait() -> None:
        wait_for(told)
        then()

    threading.Thread(target=wait).start()


def said(mark: Path, word: str) -> Callable[[], bool]:
    return lambda: mark.exists() and mark.read_text() == word


@pytest.mark.parametrize("over", ["stdio", "http"])
def test_cancelling_a_run_cancels_the_request(
    over: str, theirs: McpTools, their_url: str, engine: Engine, one: One, tmp_path: Path
) -> None:
    mark, token = tmp_path / "mark", CancelToken()
    tools = theirs if over == "stdio" else mcp_tools(url=their_url, ports={"linger": {"mark": "setting"}})
    graph, inputs = one(tools["linger"], {"mark": Text(str(mark)) if over == "stdio" else str(mark)})
    when(said(mark, "began"), token.cancel)
    with pytest.raises(Cancelled):
        engine.run(graph, inputs, cancel=token)
    wait_for(said(mark, "cancelled"))
    if over == "http":
        tools.close()


def test_a_server_that_falls_silent_is_given_up(their_url: str, call: Call, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    with mcp_tools(url=their_url, timeout=0.5) as tools:
        with pytest.raises(NodeFailed, match=r"tool linger: it showed no progress for 0\.5 s") as failure:
            call(tools["linger"], mark=Text(str(mark)))
        assert isinstance(failure.value.__cause__, RemoteTimeout)
        wait_for(said(mark, "cancelled"))
        assert call(tools["linger"], mark=Text(str(mark)), seconds=1.0, tick=0.1) == Text("over")  # progress is life


def test_a_server_that_dies_is_started_again(plain_command: list[str], call: Call) -> None:
    with mcp_tools(command=plain_command, only=["pid", "die"]) as tools:
        first = str(call(tools["pid"]))
        with pytest.raises(NodeFailed, match="tool die: it ended while it was called; the next call") as failure:
            call(tools["die"])
        assert isinstance(failure.value.__cause__, ServerGone)
        second = str(call(tools["pid"]))
        os.kill(int(second), signal.SIGKILL)
        time.sleep(0.3)  # between two calls, nobody has to be told
        assert len({first, second, str(call(tools["pid"]))}) == 3


def test_a_session_that_has_died_is_never_given_out_again(plain_command: list[str]) -> None:
    @contextlib.asynccontextmanager
    async def dial(lost: Callable[[], object]) -> AsyncIterator[Any]:
        async with program(plain_command, None, None)(lost) as streams:
            yield streams
        await asyncio.sleep(0.3)  # a server that takes its time to end

    connection = Connection("slow", dial, patience=30.0)
    try:
        first = connection.submit(connection.client).result()
        assert connection.submit(connection.client).result() is first
        with contextlib.suppress(MCPError):
            connection.submit(first.call_tool, "die").result()
        assert connection.submit(connection.client).result() is not first
    finally:
        connection.close()


def test_a_server_that_is_killed_in_a_call_fails_every_call_of_its_own(
    plain_command: list[str], engine: Engine, call: Call, one: One, tmp_path: Path
) -> None:
    marks = [tmp_path / "one", tmp_path / "other"]
    with mcp_tools(command=plain_command) as tools:
        process = int(str(call(tools["pid"])))
        failures: list[BaseException] = []

        def linger(mark: Path) -> None:
            graph, inputs = one(tools["linger"], {"mark": Text(str(mark))})
            try:
                engine.run(graph, inputs)
            except NodeFailed as error:
                failures.append(error.__cause__ or error)

        waiting = [threading.Thread(target=linger, args=(mark,)) for mark in marks]
        for thread in waiting:
            thread.start()
        wait_for(lambda: all(said(mark, "began")() for mark in marks))
        os.kill(process, signal.SIGKILL)
        for thread in waiting:
            thread.join(20)
        assert [type(error) for error in failures] == [ServerGone, ServerGone]
        assert str(call(tools["pid"])) != str(process)


def test_an_http_server_that_died_in_a_call_is_found_again(
    http_server: Any, engine: Engine, call: Call, one: One, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    with http_server as server, mcp_tools(url=server.url) as tools:
        graph, inputs = one(tools["linger"], {"mark": Text(str(mark))})
        when(said(mark, "began"), server.kill)
        with pytest.raises(NodeFailed) as failure:
            engine.run(graph, inputs)
        assert isinstance(failure.value.__cause__, ServerGone)
        server.start()
        assert call(tools["roll"]) == Text("4")


def test_a_session_that_its_server_forgot_is_opened_anew(plain_http_server: Any, call: Call, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    with plain_http_server as server, mcp_tools(url=server.url) as tools:
        process = call(tools["pid"])
        with pytest.raises(NodeFailed, match="it refused the call: Session not found"):
            call(tools["mislead"], mark=Text(str(mark)))
        assert mark.read_text() == "began"  # once, for this is a tool's own error
        server.kill()
        server.start()
        assert call(tools["pid"]) != process


def test_closing_ends_what_runs_and_what_comes_later(
    plain_command: list[str], call: Call, one: One, engine: Engine, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    tools = mcp_tools(command=plain_command)
    graph, inputs = one(tools["linger"], {"mark": Text(str(mark))})
    when(said(mark, "began"), tools.close)
    with pytest.raises(NodeFailed) as failure:
        engine.run(graph, inputs)
    assert isinstance(failure.value.__cause__, ServerGone)
    with pytest.raises(NodeFailed, match="it was closed; open it again"):
        call(tools["pid"])
    tools.close()  # more than once


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["no-such-program"], "MCP server no-such-program: it cannot be reached: FileNotFoundError"),
        ([sys.executable, "-c", "raise SystemExit(1)"], "it ended before it could be spoken to"),
        ([sys.executable, "-c", "import sys; sys.stdin.read()"], r"it did not answer within 0\.5 s"),
    ],
)
def test_a_server_that_cannot_be_reached_says_why(command: list[str], message: str) -> None:
    with pytest.raises(ServerGone, match=message):
        mcp_tools(command=command, patience=0.5 if "stdin" in command[-1] else 30.0)


def test_a_server_is_a_command_or_an_address() -> None:
    options: Any  # the last is what people write
    for options in ({}, {"command": ["a"], "url": "http://127.0.0.1"}, {"command": "paint-server"}):
        with pytest.raises(CardError, match="give one of them"):
            mcp_tools(**options)


@pytest.mark.slow
def test_a_script_that_forgets_to_close_ends_all_the_same(plain_command: list[str]) -> None:
    script = (
        f"from mmagent.adapters.mcp import mcp_tools\nprint(len(mcp_tools(command={plain_command!r}, only=['pid'])))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")


def test_without_the_library_the_command_to_install_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mcp", None)
    with pytest.raises(MissingExtra, match=r"mcp_tools needs mcp, .* pip install 'mmagent\[mcp\]'"):
        mcp_tools(command=["any"])
