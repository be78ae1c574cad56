"""Servers as programs of their own, one for each module that asks, and one way to call a tool as a graph would."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mmagent import Engine, Graph, GraphBuilder
from mmagent.adapters.mcp import McpTools, mcp_tools
from mmagent.cli import main
from mmagent.engine import Event
from mmagent.media import Media

HERE = Path(__file__).parent
PLAIN = [sys.executable, str(HERE / "plain_server.py")]
THEIRS = [sys.executable, str(HERE / "their_server.py")]
NAMES = "invert scene noise spin scatter crops total listen describe same optional shade linger meet fail"  # what is in our_tools
OURS = [sys.executable, "-m", "mmagent", "mcp", "serve", "--tool", str(HERE / "our_tools.py"), *NAMES.split()]

Call = Callable[..., Any]
One = Callable[[Any, dict[str, Any]], tuple[Graph, dict[str, Any]]]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def graph_of(tool: Any, given: dict[str, Any]) -> tuple[Graph, dict[str, Any]]:
    """A graph of one node, and its inputs; lists of media and media go to ports, the rest are settings."""
    builder = GraphBuilder("one")
    inputs: dict[str, Any] = {}
    arguments: dict[str, Any] = {}
    for name, value in given.items():
        if isinstance(value, Media | list):
            port = tool.card.input(name)
            inputs[name] = value
            arguments[name] = builder.input(name, str(port))
        else:
            arguments[name] = value
    node = builder.add("call", tool, **arguments)
    for port in tool.card.outputs:
        builder.output(port.name, getattr(node, port.name))
    return Graph(builder), inputs


@pytest.fixture(scope="session")
def plain_command() -> list[str]:
    """What starts a server that is written without a library: in no time, so that it may die often."""
    return PLAIN


@pytest.fixture(scope="session")
def our_command() -> list[str]:
    """What starts ours, with the tools of `our_tools.py`."""
    return OURS


@pytest.fixture(scope="session")
def one() -> One:
    """`one(tool, {"image": ..., "times": 2})`: a graph that calls the tool once, and its inputs."""
    return graph_of


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    with Engine() as engine:
        yield engine


@pytest.fixture
def call(engine: Engine) -> Call:
    """`call(tool, image=..., times=2)`: its outputs by name, or its only one; `heard` collects the events."""

    def run(tool: Any, heard: list[Event] | None = None, seed: int = 0, **given: Any) -> Any:
        graph, inputs = graph_of(tool, given)
        listener = heard.append if heard is not None else None
        made = engine.run(graph, inputs, seed=seed, on_event=listener).outputs
        return next(iter(made.values())) if len(made) == 1 else made

    return run


@pytest.fixture(scope="session")
def theirs() -> Iterator[McpTools]:
    """The tools of a server that knows nothing of us, over standard streams."""
    makes = {
        "draw": "image", "explain": "image", "album": "list[image]", "hum": "speech", "cloud": "points",
        "frame": "image", "broken": "image", "forged": "image",
    }  # fmt: skip
    ports = {"compare": {"one": "image", "other": "image as base64"}}
    with mcp_tools(command=THEIRS, makes=makes, ports=ports, env={"TOKEN": "in the environment"}) as tools:
        yield tools


class HttpServer:
    """A server on a loopback port, which can be killed and started again there."""

    def __init__(self, command: list[str], log: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/mcp"
        self._command = [*command, str(self.port)]
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it says that it listens: to try would now and then be answered by the try itself."""
        with self._log.open("ab") as file:
            before = file.tell()
            self._process = subprocess.Popen(self._command, stdout=file, stderr=file)
        deadline = time.monotonic() + 60
        while f"//127.0.0.1:{self.port}" not in self._log.read_bytes()[before:].decode():
            assert self._process.poll() is None and time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.02)

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> HttpServer:
        self.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self.kill()


@pytest.fixture
def http_server(tmp_path: Path) -> HttpServer:
    """A server of one's own that knows nothing of us."""
    return HttpServer([*THEIRS, "http"], tmp_path / "log")


@pytest.fixture
def plain_http_server(tmp_path: Path) -> HttpServer:
    """One of an older protocol, with a session."""
    return HttpServer(PLAIN, tmp_path / "log")


@pytest.fixture(scope="session")
def their_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The server that knows nothing of us, over HTTP."""
    with HttpServer([*THEIRS, "http"], tmp_path_factory.mktemp("theirs") / "log") as server:
        yield server.url


@pytest.fixture(scope="session")
def our_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Our server over HTTP, with the tools of `our_tools.py`."""
    with HttpServer([*OURS, "--http", "--port"], tmp_path_factory.mktemp("ours") / "log") as server:
        yield server.url


@pytest.fixture
def mm() -> Callable[..., Result]:
    """`mm("mcp", "serve")` runs `mmagent mcp serve` in this process."""
    return lambda *words: CliRunner().invoke(main, list(map(str, words)), catch_exceptions=False)
