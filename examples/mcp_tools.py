"""The Model Context Protocol both ways: another's tools in a graph and an agent, and ours for any client.

`python examples/mcp_tools.py OUT` starts two servers as programs: a small one that knows nothing of mmagent (this very
file, started with `serve`), and `mmagent mcp serve`. Nothing is fetched, and no model is needed.
"""

from __future__ import annotations

import asyncio
import base64
import io
import sys
from pathlib import Path

import PIL.Image
import PIL.ImageColor
from mcp import Client, StdioServerParameters, types
from mcp.server import mcpserver

from mmagent import Agent, Graph, GraphBuilder, Signal, Text
from mmagent.adapters.mcp import mcp_tools
from mmagent.model.scripted import ScriptedReasoner

HERE = Path(__file__).parent
THEIRS = [sys.executable, __file__, "serve"]
OURS = [sys.executable, "-m", "mmagent", "mcp", "serve", "resize", "frames-video"]

server = mcpserver.MCPServer("stripes")


@server.tool()
def draw(colours: str, width: int = 64) -> mcpserver.Image:
    """Draw a flag: upright stripes, their colours given as words."""
    names = colours.split()
    flag = PIL.Image.new("RGB", (len(names), 1))
    for place, name in enumerate(names):
        flag.putpixel((place, 0), PIL.ImageColor.getrgb(name))
    file = io.BytesIO()
    flag.resize((width, width // 2), PIL.Image.Resampling.NEAREST).save(file, "PNG")
    return mcpserver.Image(data=file.getvalue(), format="png")


def use_theirs(out: Path) -> None:
    """A server's tools as nodes of a graph, and as what an agent makes pictures with."""
    with mcp_tools(command=THEIRS, makes={"draw": "image"}) as tools:
        card = tools["draw"].card
        print("tool:", card.name, *card.inputs, "->", *card.outputs)

        builder = GraphBuilder("flag")
        flag = builder.add("draw", tools["draw"], colours=builder.input("colours", Text), width=90)
        builder.output("flag", builder.add("smaller", "resize", image=flag, width=30, height=20))
        made = Graph(builder).run(colours=Text("black red gold"))["flag"]
        print("graph:", made)
        made.save(out / "flag.png")

        model = ScriptedReasoner(["Italy's: ", Signal("image", "green white red")])
        reply = Agent(model, tools=tools)("Show me a flag.").check()
        print("agent:", *reply.parts, "by", reply.trace.calls[-1].tool)


async def serve_ours(out: Path) -> None:
    """Our tools, as any client of the protocol sees them."""
    photo = f"data:image/png;base64,{base64.b64encode((HERE / 'photo.png').read_bytes()).decode()}"
    async with Client(StdioServerParameters(command=OURS[0], args=OURS[1:])) as client:
        print("served:", *[tool.name for tool in (await client.list_tools()).tools])
        picture, link = (await client.call_tool("resize", {"image": photo, "width": 64, "height": 64})).content
        assert isinstance(picture, types.ImageContent) and isinstance(link, types.ResourceLink)
        print("result:", picture.mime_type, "and a link to", link.description)
        [film] = (await client.call_tool("frames-video", {"images": [link.uri, link.uri]})).content  # by its address
        assert isinstance(film, types.ResourceLink)
        [contents] = (await client.read_resource(film.uri)).contents
        assert isinstance(contents, types.BlobResourceContents)
        (out / "film.mkv").write_bytes(base64.b64decode(contents.blob))
        print("film:", film.description)


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        server.run("stdio")
    else:
        folder = Path(sys.argv[1] if len(sys.argv) > 1 else "out")
        folder.mkdir(parents=True, exist_ok=True)
        use_theirs(folder)
        asyncio.run(serve_ours(folder))
