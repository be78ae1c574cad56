"""What a server offers and keeps, without a client: names, what is held, how far a run is; and the agent as a tool."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from mcp import Client

from mmagent import Agent, Engine, Graph, GraphBuilder, Tool, tool
from mmagent.adapters.mcp import McpServer
from mmagent.adapters.mcp.content import Writer
from mmagent.adapters.mcp.errors import ServeError
from mmagent.adapters.mcp.gauge import Gauge
from mmagent.adapters.mcp.held import Shelter
from mmagent.adapters.mcp.serve import over_http
from mmagent.conversation import Signal
from mmagent.engine import Event
from mmagent.errors import CardError, IntakeError, MediaError, MissingExtra, UnknownName
from mmagent.media import Image, Media, Points, Text
from mmagent.model.scripted import ScriptedReasoner
from mmagent.testing import blank, caption, registry, tone, upper

Command = Callable[..., Result]


def graph() -> Graph:
    builder = GraphBuilder("size-of", doc="The size of what a text becomes.", registry=registry())
    picture = builder.add("draw", blank, text=builder.input("text", Text))
    builder.output("size", builder.add("say", caption, image=picture))
    return Graph(builder)


class Model(Tool, name="model.v1"):
    """A tool whose constructor must be told something."""

    def __init__(self, path: str) -> None:
        self.path = path

    def run(self, text: Text) -> Text:
        return Text(f"{text} by {self.path}")


# -- what is offered


def test_tools_and_graphs_are_offered_by_name_or_themselves() -> None:
    server = McpServer("blank", "caption.v1", graph(), upper, registry=registry())
    assert list(server.offers) == ["blank", "caption", "size-of", "upper"]


def test_without_names_everything_that_works_is_offered() -> None:
    offers = McpServer(registry=registry()).offers
    assert {"blank", "tone", "resample", "speak"} <= set(offers)  # ours, the shelf's tools and its graphs


def test_an_agent_alone_is_offered_alone() -> None:
    assert list(McpServer(agent=Agent(ScriptedReasoner())).offers) == ["ask"]


def test_what_cannot_be_offered_is_refused() -> None:
    with pytest.raises(UnknownName, match="no tool or graph 'blnk'"):
        McpServer("blnk", registry=registry())
    with pytest.raises(CardError, match=r"model\.v1 cannot be served: its constructor's setting path has no default"):
        McpServer(Model)
    assert list(McpServer(Model, load_settings=True).offers) == ["model"]

    @tool(name="upper.v2")
    def newer(text: Text) -> Text:
        return text

    with pytest.raises(CardError, match=r"upper\.v1 and upper\.v2 would both be served as upper"):
        McpServer(upper, newer)


async def test_callers_may_choose_what_constructors_take_if_they_are_let(engine: Engine) -> None:
    async with Client(McpServer(Model, load_settings=True, engine=engine).protocol()) as client:
        result = await client.call_tool("model", {"text": "a poem", "path": "somebody"})
    assert result.content[0].model_dump()["text"] == "a poem by somebody"


async def test_a_graph_is_a_tool(engine: Engine) -> None:
    told: list[float] = []

    async def tell(progress: float, total: float | None, message: str | None) -> None:
        assert total == 2
        told.append(progress)

    async with Client(McpServer(graph(), engine=engine).protocol()) as client:
        [offered] = (await client.list_tools()).tools
        assert offered.description == "The size of what a text becomes. Makes size (text)."
        result = await client.call_tool("size-of", {"text": "a"}, progress_callback=tell)
    assert result.content[0].model_dump()["text"] == "8 by 8"
    assert told == [1, 2]


async def test_files_below_the_root_may_be_named(engine: Engine, tmp_path: Path) -> None:
    blank(Text("a")).save(tmp_path / "in.png")
    async with Client(McpServer(caption, root=tmp_path, engine=engine).protocol()) as client:
        [offered] = (await client.list_tools()).tools
        assert offered.input_schema["properties"]["image"]["format"] == "uri-reference"
        found = [await client.call_tool("caption", {"image": name}) for name in ("in.png", "../in.png")]
    assert [item.content[0].model_dump()["text"] for item in found] == [
        "8 by 8", "argument image is a data: URI, an address that this server gave, or a path below its root"
    ]  # fmt: skip


# -- the agent


async def test_the_agent_answers_in_parts_and_forgets(engine: Engine) -> None:
    script = ScriptedReasoner(["Here: ", Signal("image", "a cat"), " and ", Signal("video", "a dog")], sees=["image"])
    agent = Agent(script, tools=[blank, tone], engine=engine)
    async with Client(McpServer(agent=agent, engine=engine).protocol()) as client:
        [offered] = (await client.list_tools()).tools
        assert offered.input_schema["required"] == ["request"]
        picture = blank(Text("x")).data_uri()
        for _ in range(2):
            result = await client.call_tool("ask", {"request": "What is this?", "media": [picture]})
            assert [block.type for block in result.content][:3] == ["text", "image", "resource_link"]
    assert len(agent.conversation.messages) == 0
    assert [len(heard.messages) for heard in script.heard] == [1, 1]


async def test_an_agents_model_is_loaded_once(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []

    def load(name: str) -> ScriptedReasoner:
        loaded.append(name)
        return ScriptedReasoner(["Hm."])

    monkeypatch.setattr("mmagent.model.load_model", load)
    async with Client(McpServer(agent=Agent("large"), engine=engine).protocol()) as client:
        for _ in range(3):
            await client.call_tool("ask", {"request": "Well?"})
    assert loaded == ["large"]


# -- what is held


def kept(shelter: Shelter, *media: Media) -> list[str]:
    """The address of each, as if its file were a hundred bytes."""
    found = [shelter.keep(item, item.digest[:10].encode() * 10) for item in media]
    return [item.uri if item is not None else "" for item in found]


def test_what_was_asked_for_the_longest_ago_goes_first() -> None:
    pictures = [Image(np.full((9, 9), shade, dtype=np.uint8)) for shade in range(3)]
    shelter = Shelter(250)
    first, second = kept(shelter, *pictures[:2])
    assert shelter.get(first).data.startswith(pictures[0].digest[:10].encode())
    [third] = kept(shelter, pictures[2])
    assert [shelter.get(uri).facts[:5] for uri in (first, third)] == ["image", "image"]
    with pytest.raises(IntakeError, match="nothing is held at"):
        shelter.get(second)


def test_the_same_is_held_once() -> None:
    picture = blank(Text("a"))
    shelter = Shelter(200)
    assert len(set(kept(shelter, *[picture] * 5))) == 1
    other, *_ = kept(shelter, blank(Text("b")))
    assert shelter.get(kept(shelter, picture)[0]) and shelter.get(other)


def test_many_threads_stay_within_the_budget() -> None:
    pictures = [Image(np.full((5, 5), shade, dtype=np.uint8)) for shade in range(40)]
    shelter = Shelter(1000)
    threads = [threading.Thread(target=kept, args=(shelter, *pictures[place:])) for place in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    held = list(shelter._files.values())
    assert sum(len(item.data) for item in held) == shelter._bytes == shelter.budget


def test_what_cannot_be_kept_is_given_or_refused() -> None:
    writer = Writer(Shelter(10), inline=10_000)
    writer.media(blank(Text("a")), "image")
    assert [block.type for block in writer.blocks] == ["image"]
    with pytest.raises(MediaError, match="output points is a file of 140 bytes, and the server keeps 10 in all"):
        writer.media(Points(np.zeros((1, 3), dtype="float32")), "points")


# -- progress


def test_progress_only_grows_and_ends_at_the_number_of_calls() -> None:
    def event(kind: Any, span: int, data: Any = None, tool: str = "a.v1") -> Event:
        return Event(kind, span, 0, f"node-{span}", tool, 0.0, data)

    gauge = Gauge(2)
    events = [
        event("started", 1), event("progress", 1, (1, 4, "quarter")), event("progress", 1, (1, 4, "")),
        event("progress", 1, (0, 4, "back")), event("finished", 1), event("finished", 9, tool=""),
        event("progress", 2, (5, 4, "too much")), event("finished", 2), event("finished", 3),
    ]  # fmt: skip
    assert [gauge.see(item) for item in events] == [
        None, (0.25, "quarter"), None, None, (1.0, "node-1"), None, (2.0, "too much"), None, None
    ]  # fmt: skip


# -- the command


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--http", "--host", "0.0.0.0"], 5, "name the hosts that they call it by with --allow-host NAME"),  # noqa: S104  # refused
        (["nonesuch"], 2, "no tool or graph 'nonesuch'"),
        (["--root", "/nonesuch"], 2, "does not exist"),
    ],
)
def test_the_command_says_what_is_wrong(mm: Command, options: list[str], code: int, message: str) -> None:
    done = mm("mcp", "serve", *options)
    assert (done.exit_code, done.stdout) == (code, "") and message in done.stderr


def test_a_port_that_is_taken_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ServeError, match="choose another --port"):
        over_http(McpServer(upper), port=taken.getsockname()[1])


def test_without_the_library_the_command_to_install_it_is_given(monkeypatch: pytest.MonkeyPatch, mm: Command) -> None:
    monkeypatch.setitem(sys.modules, "mcp", None)
    with pytest.raises(MissingExtra, match=r"McpServer needs mcp, .* pip install 'mmagent\[mcp\]'"):
        McpServer(upper)
    assert "pip install 'mmagent[mcp]'" in mm("mcp", "serve").stderr
