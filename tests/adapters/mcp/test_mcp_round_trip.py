"""Our client against our server: a tool there is as good as one here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mmagent import Engine, Graph, GraphBuilder
from mmagent.adapters.mcp import McpTools, mcp_tools
from mmagent.engine import Event
from mmagent.errors import NodeFailed
from mmagent.media import Audio, Embedding, Image, Media, Points, Speech, Text, Video

if TYPE_CHECKING:
    from tests.adapters.mcp.conftest import Call

PICTURE = Image(np.arange(60, dtype=np.uint8).reshape(4, 5, 3))
DEEP = Image(np.arange(60, dtype=np.uint16).reshape(4, 5, 3) * 1000)
SOUND = Audio(np.linspace(-1, 1, 800, dtype="float32"), 8000)


@pytest.fixture(scope="module", params=["stdio", "http"])
def ours(request: pytest.FixtureRequest, our_command: list[str]) -> Iterator[McpTools]:
    """The tools of our server as tools here."""
    if request.param == "http":
        tools = mcp_tools("far", url=request.getfixturevalue("our_url"))
    else:
        tools = mcp_tools("far", command=our_command)
    with tools:
        yield tools


def test_a_card_keeps_its_ports(ours: McpTools) -> None:
    def ports(name: str) -> tuple[list[str], list[str]]:
        card = ours[name].card
        return [f"{port.name}: {port}" for port in card.inputs], [f"{port.name}: {port}" for port in card.outputs]

    assert ports("invert") == (["image: image"], ["image: image"])
    assert ports("scene") == (["text: text"], ["picture: image", "sound: speech", "notes: text | None"])
    assert ports("total") == (["images: list[image]", "texts: list[text]"], ["text: text"])
    assert ports("listen") == (["audio: audio(rate=16000)"], ["text: text"])
    assert ports("describe") == (["media: any"], ["text: text"])
    assert ports("optional") == (["image: image | None"], ["text: text"])
    assert ours["noise"].card.setting("seed") is None


@pytest.mark.parametrize("media", [PICTURE, DEEP], ids=["8 bits", "16 bits"])
def test_pictures_survive_bit_for_bit(ours: McpTools, call: Call, media: Image) -> None:
    there = call(ours["crops"], image=media, count=1)
    assert [item.digest for item in there] == [media.digest]


@pytest.mark.parametrize(
    "media",
    [
        PICTURE,
        SOUND,
        Speech(SOUND.array, 8000),
        Points(np.arange(12, dtype="float32").reshape(4, 3)),
        Embedding(np.arange(6, dtype="float32").reshape(2, 3), "a.space", [True, False]),
        Video(np.arange(180, dtype=np.uint8).reshape(3, 4, 5, 3), fps=5, audio=SOUND),
        Text("Zoë & 他\n\tsaid: data:image/png;base64,AAAA"),
    ],
    ids=lambda media: media.modality,
)
def test_every_medium_comes_back_as_it_went(ours: McpTools, call: Call, media: Media) -> None:
    back = call(ours["same"], media=media)
    assert type(back) is type(media)
    if isinstance(media, Embedding) and isinstance(back, Embedding):  # whose digest says who made it
        assert (back.array == media.array).all() and (back.mask == media.mask).all() and back.space == media.space
    else:
        assert back.digest == media.digest


def test_outputs_find_their_ports(ours: McpTools, call: Call) -> None:
    made = call(ours["scene"], text=Text("a"), words=True)
    assert [type(made[name]) for name in ("picture", "sound", "notes")] == [Image, Speech, Text]
    assert call(ours["scene"], text=Text("a"))["notes"] is None


def test_a_large_file_comes_by_its_link(ours: McpTools, call: Call) -> None:
    heard: list[Event] = []
    picture = call(ours["noise"], heard, seed=3, size=700)
    assert (picture.width, picture.nbytes) == (700, 1_470_000)
    assert call(ours["noise"], seed=3, size=700) == picture != call(ours["noise"], seed=4, size=700)


def test_a_remote_tool_is_a_node_like_any_other(ours: McpTools, engine: Engine) -> None:
    from mmagent.testing import caption

    builder = GraphBuilder("both-sides")
    there = builder.add("invert", ours["invert"], image=builder.input("picture", Image), channels="red")
    film = builder.add("spin", ours["spin"], image=there, frames=2)
    builder.output("film", film)
    builder.output("size", builder.add("here", caption, image=there))
    made = engine.run(Graph(builder), {"picture": PICTURE}).outputs
    assert made["size"] == Text("5 by 4") and isinstance(made["film"], Video)
    assert (made["film"].array[0, ..., 0] == 255 - PICTURE.array[..., 0]).all()


def test_what_fails_there_fails_here_with_its_reason(ours: McpTools, call: Call) -> None:
    with pytest.raises(
        NodeFailed, match=r"MCP server far, tool fail: node fail \(fail\.v1\) failed: ValueError: no ink"
    ):
        call(ours["fail"], text=Text("ink"))


def test_progress_there_is_progress_here(ours: McpTools, call: Call) -> None:
    heard: list[Event] = []
    call(ours["scene"], heard, text=Text(f"progress {id(ours)}"))
    told = [event.data for event in heard if event.kind == "progress"]
    assert told[:2] == [(0.25, 1.0, "step 1"), (0.5, 1.0, "step 2")]
