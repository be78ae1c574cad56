"""A server that knows nothing of mmagent, written as its authors would: with the library's own API. Run as a program."""

from __future__ import annotations

import asyncio
import base64
import io
import math
import os
import sys
from pathlib import Path
from typing import Annotated, Literal

from mcp import MCPError
from mcp.server.mcpserver import Audio, Context, Image, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import BlobResourceContents, EmbeddedResource, ResourceLink, TextContent, TextResourceContents
from pydantic import BaseModel, Field

server = MCPServer("Paint Box")
meeting = asyncio.Barrier(2)

Png = Annotated[str, Field(json_schema_extra={"contentEncoding": "base64", "contentMediaType": "image/png"})]
Jpeg = Annotated[str, Field(json_schema_extra={"format": "data-uri", "contentMediaType": "image/jpeg"})]


class Brush(BaseModel):
    """An object among the parameters, which a setting holds as JSON."""

    width: int = Field(ge=1)
    colour: str = "black"


class Sketch(BaseModel):
    """Structured content that carries a picture."""

    picture: Png
    title: str
    strokes: list[int]


def png(red: int, size: int = 4) -> bytes:
    import PIL.Image  # here, so that the server starts quickly

    file = io.BytesIO()
    PIL.Image.new("RGB", (size, size), (red, 20, 30)).save(file, "PNG")
    return file.getvalue()


def wav() -> bytes:
    samples = b"".join(round(9000 * math.sin(place / 5)).to_bytes(2, "little", signed=True) for place in range(800))
    head = b"RIFF" + (36 + len(samples)).to_bytes(4, "little") + b"WAVEfmt " + (16).to_bytes(4, "little")
    form = (1).to_bytes(2, "little") * 2 + (8000).to_bytes(4, "little") + (16000).to_bytes(4, "little")
    return head + form + b"\2\0\x10\0data" + len(samples).to_bytes(4, "little") + samples


def npy() -> bytes:
    import numpy as np

    file = io.BytesIO()
    np.save(file, np.arange(12, dtype="float32").reshape(4, 3))
    return file.getvalue()


@server.tool()
def shout(
    text: str,
    times: int = 1,
    mood: Literal["calm", "loud"] = "calm",
    to: str | None = None,
    tags: list[str] | None = None,
) -> str:
    """Say it louder.

    With everything that a setting can be.
    """
    return " ".join([text.upper()] * times + [mood, str(to), str(tags)])


@server.tool()
def draw(red: int = 200) -> Image:
    """Draw a square."""
    return Image(data=png(red), format="png")


@server.tool()
def explain() -> list[Image | str]:
    """A picture with words around it."""
    return ["Here it is:", Image(data=png(9), format="png"), "Do you like it?"]


@server.tool()
def album(count: int = 2) -> list[Image]:
    """Several pictures."""
    return [Image(data=png(shade), format="png") for shade in range(count)]


@server.tool()
def hum() -> Audio:
    """Hum."""
    return Audio(data=wav(), format="wav")


@server.tool()
def cloud() -> EmbeddedResource:
    """Points, as a file in the answer."""
    blob = base64.b64encode(npy()).decode()
    return EmbeddedResource(
        resource=BlobResourceContents(uri="cloud://one", mime_type="application/octet-stream", blob=blob)
    )


@server.tool()
def poem() -> EmbeddedResource:
    """Words, as a file in the answer."""
    return EmbeddedResource(resource=TextResourceContents(uri="poem://one", mime_type="text/plain", text="Roses are"))


@server.resource("pictures://{shade}", mime_type="image/png")
def picture(shade: str) -> bytes:
    return png(int(shade))


@server.tool()
def frame(shade: int, size: int = 0) -> ResourceLink:
    """A picture, as a link that claims a size."""
    return ResourceLink(name="frame", uri=f"pictures://{shade}", mime_type="image/png", size=size)


@server.tool()
def broken() -> list[TextContent | ResourceLink]:
    """A link to nothing."""
    return [ResourceLink(name="gone", uri="nowhere://1", mime_type="image/png")]


@server.tool()
def forged() -> Image:
    """Not a picture at all."""
    return Image(data=b"these are no pixels", format="png")


@server.tool()
def weigh(image: Png, copies: int = 1) -> str:
    """The mean colour of a picture, which comes as base64."""
    import numpy as np
    import PIL.Image

    pixels = np.asarray(PIL.Image.open(io.BytesIO(base64.b64decode(image, validate=True))))
    return f"{pixels.mean(axis=(0, 1)).round().tolist()} {copies}"


@server.tool()
def look(photo: Jpeg) -> str:
    """The head of a data URI and the format of the file in it."""
    import PIL.Image

    head, _, body = photo.partition(",")
    return f"{head} {PIL.Image.open(io.BytesIO(base64.b64decode(body))).format}"


@server.tool()
def compare(one: str, other: str) -> str:
    """Whether two files in base64 are the same; nothing in its schema says that they are files."""
    return str(base64.b64decode(one) == base64.b64decode(other))


@server.tool()
def paint(brush: Brush, sizes: list[int] | None = None) -> str:
    """Takes an object and a list."""
    return f"{brush.width} {brush.colour} {sizes}"


@server.tool()
def sketch(red: int = 50) -> Sketch:
    """Structured content with a picture in it."""
    return Sketch(picture=base64.b64encode(png(red)).decode(), title="Dawn", strokes=[1, 2])


@server.tool()
def count() -> dict[str, int]:
    """Structured content without media."""
    return {"birds": 3}


@server.tool()
async def steps(ctx: Context, total: bool = True) -> str:
    """Tell how far it is."""
    for step in range(3):
        await ctx.report_progress(step + 1, 4 if total else None, f"step {step + 1}")
    return "done"


@server.tool()
async def linger(ctx: Context, mark: str, seconds: float = 30.0, tick: float = 0.0) -> str:
    """Wait; note in the file `mark` that it began, and how it ended."""
    Path(mark).write_text("began")
    try:
        for step in range(max(round(seconds / tick), 1) if tick else 1):
            await asyncio.sleep(tick or seconds)
            if tick:
                await ctx.report_progress(step + 1)
    except BaseException:
        Path(mark).write_text("cancelled")
        raise
    Path(mark).write_text("ended")
    return "over"


@server.tool()
async def meet(who: str) -> str:
    """Returns when two are here."""
    async with asyncio.timeout(20):
        await meeting.wait()
    return who


@server.tool()
def fail(why: str) -> str:
    """Fail with a reason."""
    raise ToolError(f"no {why} left" + " at all" * 300)


@server.tool()
async def repeat(image: Png, how: str, ctx: Context) -> ResourceLink:
    """Fail, and say what was given."""
    if how == "failure":
        raise ToolError(f"no picture: {image}")
    if how == "refusal":
        raise MCPError(-32602, f"no picture: {image}")
    await ctx.report_progress(1, 2, f"a picture: {image}")
    return ResourceLink(name="again", uri=f"data:image/png;base64,{image}", mime_type="image/png", size=2**40)


@server.tool()
def roll(seed: int = 4) -> str:
    """A random number, as they go."""
    return str(seed)


@server.tool()
def whoami(ctx: Context) -> str:
    """What the process is, and what it was told."""
    token = (ctx.headers or {}).get("x-token", os.environ.get("TOKEN", ""))
    return f"{os.getpid()} {token}"


if __name__ == "__main__":
    if sys.argv[1:2] == ["http"]:
        server.run("streamable-http", port=int(sys.argv[2]))
    else:
        server.run("stdio")
