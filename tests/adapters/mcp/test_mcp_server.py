"""Our server as the library's own client sees it, over standard streams and over HTTP."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from mcp import Client, MCPError, StdioServerParameters, types

from mmagent.media import Audio, Image, Points, Video

Connect = Callable[[], AbstractAsyncContextManager[Client]]

PICTURE = Image(np.arange(60, dtype=np.uint8).reshape(4, 5, 3))
OVER = ["stdio", "http", "http, by handshake"]


@pytest.fixture
def connect(request: pytest.FixtureRequest, our_command: list[str]) -> Connect:
    """A client of our server: over standard streams, HTTP, or HTTP as it was before servers were stateless."""
    over = getattr(request, "param", "http")

    @contextlib.asynccontextmanager
    async def client() -> AsyncIterator[Client]:
        if over == "stdio":
            server: Any = StdioServerParameters(command=our_command[0], args=our_command[1:])
        else:
            server = request.getfixturevalue("our_url")
        async with Client(server, mode="legacy" if "handshake" in over else "auto") as client:
            yield client

    return client


def words(result: types.CallToolResult) -> str:
    return " ".join(block.text for block in result.content if isinstance(block, types.TextContent))


def links(result: types.CallToolResult) -> list[types.ResourceLink]:
    return [block for block in result.content if isinstance(block, types.ResourceLink)]


async def file_at(client: Client, uri: str) -> bytes:
    [contents] = (await client.read_resource(uri)).contents
    assert isinstance(contents, types.BlobResourceContents)
    return base64.b64decode(contents.blob)


# -- what is offered


async def test_a_card_is_a_schema(connect: Connect) -> None:
    async with connect() as client:
        found = {tool.name: tool for tool in (await client.list_tools()).tools}
    schema = found["invert"].input_schema
    assert found["invert"].description == "Invert the colours of a picture. Makes image (image)."
    assert (schema["required"], schema["additionalProperties"]) == (["image"], False)
    assert {name: (item["type"], item.get("format")) for name, item in schema["properties"].items()} == {
        "image": ("string", "uri"), "channels": ("string", None)
    }  # fmt: skip
    assert schema["properties"]["channels"] == {"type": "string", "enum": ["all", "red"], "default": "all"}
    assert found["optional"].input_schema["properties"]["level"] == {"type": ["integer", "null"], "default": None}
    assert found["total"].input_schema["properties"]["images"]["items"] == {"type": "string", "format": "uri"}
    assert "seed" in found["noise"].input_schema["properties"]
    assert "grey" not in found["shade"].input_schema["properties"]


# -- calls


@pytest.mark.parametrize("connect", OVER, indirect=True)
async def test_media_go_both_ways_and_cancelling_cancels(
    connect: Connect, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    word = request.node.name  # another one each time, since what is known is not made again
    told: list[tuple[float, float | None, str | None]] = []

    async def tell(progress: float, total: float | None, message: str | None) -> None:
        told.append((progress, total, message))

    async with connect() as client:
        made = await client.call_tool("invert", {"image": PICTURE.data_uri()})
        picture, link = made.content
        assert isinstance(picture, types.ImageContent) and picture.mime_type == "image/png"
        assert Image(base64.b64decode(picture.data)) == Image(255 - PICTURE.array)
        assert (
            isinstance(link, types.ResourceLink) and link.description == "image: width 5, height 4, channels 3, bits 8"
        )
        again = await client.call_tool("invert", {"image": link.uri})
        assert isinstance(again.content[0], types.ImageContent)
        assert Image(base64.b64decode(again.content[0].data)) == PICTURE

        made = await client.call_tool("scene", {"text": word, "words": True}, progress_callback=tell)
        image, _, sound, _, text = made.content
        assert isinstance(image, types.ImageContent) and isinstance(text, types.TextContent) and text.text == word
        assert isinstance(sound, types.AudioContent) and sound.mime_type == "audio/wav"
        assert Audio(base64.b64decode(sound.data)).seconds == 0.1
        assert told[:3] == [(0.25, 1.0, "step 1"), (0.5, 1.0, "step 2"), (0.75, 1.0, "step 3")]
        assert told[-1] == (1.0, 1.0, "scene")

        made = await client.call_tool("spin", {"image": PICTURE.data_uri()})
        [film] = made.content
        assert isinstance(film, types.ResourceLink) and film.mime_type == "video/x-matroska"
        data = await file_at(client, film.uri)
        assert len(data) == film.size and len(Video(data).array) == 3

        failed = await client.call_tool("fail", {"text": "paper"})
        assert failed.is_error and words(failed) == "node fail (fail.v1) failed: ValueError: no paper left"
        one, other = await asyncio.gather(
            client.call_tool("meet", {"text": "me"}), client.call_tool("meet", {"text": "you"})
        )
        assert (words(one), words(other)) == ("me", "you")
        await cancelled(client, tmp_path / "mark")


async def cancelled(client: Client, mark: Path) -> None:
    """Cancel a request, and wait until its run has heard of it."""
    asking = asyncio.create_task(client.call_tool("linger", {"mark": str(mark)}))
    async with asyncio.timeout(20):
        while not mark.exists() or mark.read_text() != "began":
            await asyncio.sleep(0.01)
        asking.cancel()
        while mark.read_text() != "cancelled":
            await asyncio.sleep(0.01)
    assert words(await client.call_tool("describe", {"media": "words"})) == "text"


async def test_what_is_neither_picture_nor_sound_is_a_link(connect: Connect) -> None:
    async with connect() as client:
        [link] = links(await client.call_tool("scatter", {"image": PICTURE.data_uri()}))
        assert link.mime_type == "application/x-npy"
        assert Points(await file_at(client, link.uri)).array.shape == (20, 3)
        assert words(await client.call_tool("describe", {"media": link.uri})) == "points"


async def test_a_large_picture_is_a_link_alone(connect: Connect) -> None:
    async with connect() as client:
        made = await client.call_tool("noise", {"size": 512})
        [link] = made.content
        assert isinstance(link, types.ResourceLink) and (link.size or 0) > 512 * 1024
        assert Image(await file_at(client, link.uri)).width == 512


async def test_lists_go_both_ways(connect: Connect) -> None:
    async with connect() as client:
        made = await client.call_tool("crops", {"image": PICTURE.data_uri(), "count": 3})
        assert len(links(made)) == 3
        uris = [link.uri for link in links(made)]
        assert words(await client.call_tool("total", {"images": uris, "texts": ["a", "b"]})) == "3 pictures, a b"
        assert words(await client.call_tool("total", {"images": [], "texts": []})) == "0 pictures, "


async def test_settings_are_taken_as_json_has_them(connect: Connect) -> None:
    async with connect() as client:
        assert words(await client.call_tool("optional", {})) == "False None 1.5"
        given = {"image": PICTURE.data_uri(), "level": 3.0, "gain": 2}
        assert words(await client.call_tool("optional", given)) == "True 3 2.0"
        assert words(await client.call_tool("optional", {"level": None})) == "False None 1.5"


async def test_converters_see_to_what_a_port_asks_for(connect: Connect) -> None:
    async with connect() as client:
        sound = Audio(np.zeros((4000, 1), dtype="float32"), 8000)
        assert words(await client.call_tool("listen", {"audio": sound.data_uri()})) == "16000 Hz, 0.50 s"


async def test_the_same_seed_gives_the_same_picture(connect: Connect) -> None:
    async with connect() as client:
        one, again, other = [links(await client.call_tool("noise", {"seed": seed}))[0].uri for seed in (1, 1, 2)]
    assert one == again != other


@pytest.mark.parametrize(
    ("tool", "arguments", "message"),
    [
        ("invert", {}, "invert needs the argument image: image"),
        ("invert", {"image": 3}, "argument image is the address of image, not a number"),
        ("invert", {"image": "data:image/png;base64,AAAA"}, "data:image/png: not a picture"),
        ("invert", {"image": "/etc/passwd"}, "a path, if it is started with --root"),
        ("invert", {"image": "file:///etc/passwd"}, "a path, if it is started with --root"),
        (
            "invert",
            {"image": "http://127.0.0.1/a.png"},
            "argument image is a data: URI, an address that this server gave",
        ),
        ("invert", {"image": "mmagent://media/image-0.png"}, "nothing is held at 'mmagent://media/image-0.png'"),
        ("invert", {"image": PICTURE.data_uri(), "channels": "blue"}, "setting channels takes one of 'all', 'red'"),
        ("invert", {"picture": PICTURE.data_uri()}, "invert has no argument 'picture'; it has image, channels"),
        ("optional", {"level": 2.5}, "setting level takes int, not 2.5"),
        ("total", {"images": "x", "texts": []}, "argument images is a list, not a string"),
        ("noise", {"seed": "x"}, "setting seed takes int, not 'x'"),
    ],
)
async def test_a_wrong_argument_is_told_to_the_model(
    connect: Connect, tool: str, arguments: dict[str, Any], message: str
) -> None:
    async with connect() as client:
        result = await client.call_tool(tool, arguments)
    assert result.is_error and message in words(result)


async def test_an_unknown_tool_or_resource_is_refused(connect: Connect) -> None:
    async with connect() as client:
        with pytest.raises(MCPError, match="no tool 'sing'; there are invert"):
            await client.call_tool("sing", {})
        with pytest.raises(MCPError, match="nothing is held at"):
            await client.read_resource("mmagent://media/image-1.png")
        with pytest.raises(MCPError, match="nothing is held at"):
            await client.read_resource("file:///etc/passwd")
        assert links(await client.call_tool("scatter", {"image": PICTURE.data_uri()}))
        assert (await client.list_resources()).resources == []  # what was made for others is not shown
        [template] = (await client.list_resource_templates()).resource_templates
        assert template.uri_template == "mmagent://media/{file}"


# -- the program


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"host": "evil.example"}, 421),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "http://localhost:3000"}, 200),
    ],
)
def test_a_page_of_another_site_cannot_call(our_url: str, headers: dict[str, str], status: int) -> None:
    body = {
        "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
    }  # fmt: skip
    accept = {"accept": "application/json, text/event-stream"}
    assert httpx2.post(our_url, json=body, headers={**accept, **headers}).status_code == status


def test_standard_output_is_the_wire_and_nothing_else(our_command: list[str]) -> None:
    def line(**fields: Any) -> str:
        return json.dumps({"jsonrpc": "2.0", **fields}) + "\n"

    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    call = {"name": "invert", "arguments": {"image": PICTURE.data_uri()}}
    asked = line(id=1, method="initialize", params=hello) + line(method="notifications/initialized")
    with subprocess.Popen(
        our_command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        process.stdin.write(asked + line(id=2, method="tools/call", params=call))
        process.stdin.flush()
        answers = [json.loads(process.stdout.readline()) for _ in range(2)]
        process.stdin.close()
        assert process.stdout.read() == ""
        log = process.stderr.read()
    assert [answer["id"] for answer in answers] == [1, 2] and process.returncode == 0
    assert "must not be on it" in log and "nor must this" in log


@pytest.mark.parametrize("options", [[], ["--http", "--port", "0"]])
def test_interrupting_it_ends_it(our_command: list[str], options: list[str]) -> None:
    with subprocess.Popen(
        [*our_command, "--name", "ready", *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        if options:
            while b"http://127.0.0.1" not in process.stderr.readline():
                pass
        else:
            process.stdin.write(b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}\n')
            process.stdin.flush()
            process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
