"""The tools of a server that knows nothing of us: cards, arguments, media, progress, and the agent that uses them."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mmagent import Agent, Engine, Limits
from mmagent.adapters.mcp import McpTools, RemoteError, mcp_tools
from mmagent.conversation import Signal
from mmagent.engine import Event
from mmagent.errors import CardError, GraphError, NodeFailed, UnknownName
from mmagent.media import Image, Points, Speech, Text
from mmagent.model.scripted import ScriptedReasoner

if TYPE_CHECKING:
    from tests.adapters.mcp.conftest import Call, One

RED = Image(np.full((4, 4, 3), (200, 20, 30), dtype=np.uint8))


# -- cards


def test_tools_are_named_after_server_and_tool(theirs: McpTools) -> None:
    assert theirs["shout"].card.name == "paint-box-shout.v1"
    assert theirs["paint-box-shout"] is theirs["paint-box-shout.v1"] is theirs["shout"] is theirs[0]
    assert len(theirs) == len(list(theirs)) == len({tool.card.name for tool in theirs})
    with pytest.raises(UnknownName, match="has no tool 'sing'; it has shout, draw"):
        theirs["sing"]


def test_a_schema_becomes_ports_and_settings(theirs: McpTools) -> None:
    card = theirs["shout"].card
    assert [(port.name, str(port)) for port in card.inputs] == [("text", "text")]
    found = {item.name: (item.type, item.default, item.choices, item.optional) for item in card.settings}
    assert found == {
        "times": ("int", 1, (), False),
        "mood": ("str", "calm", ("calm", "loud"), False),
        "to": ("str", None, (), True),
        "tags": ("str", None, (), True),
    }
    assert card.doc == "Say it louder."
    assert (card.call, card.cacheable, card.kind) == ("async", False, "generator")


def test_media_are_told_by_the_schema_or_the_caller(theirs: McpTools) -> None:
    assert [str(port) for port in theirs["weigh"].card.inputs] == ["image"]
    assert [str(port) for port in theirs["look"].card.inputs] == ["image"]
    assert [str(port) for port in theirs["compare"].card.inputs] == ["image", "image"]
    assert [str(port) for port in theirs["album"].card.outputs] == ["list[image]"]
    assert [f"{port.name}: {port}" for port in theirs["sketch"].card.outputs] == [
        "picture: image", "title: text", "strokes: text"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"only": ["sing"]}, "only: MCP server paint-box has no tool 'sing'"),
        ({"ports": {"draw": {"blue": "image"}}}, "no parameter 'blue'; it has red"),
        ({"ports": {"weigh": {"image": "odour"}}}, "no modality 'odour' is registered"),
        ({"ports": {"weigh": {"image": "image as soup"}}}, "'soup' is no way to send media"),
        ({"makes": {"draw": "list[image"}}, "what it makes: 'list\\[image' is no port"),
    ],
)
def test_a_choice_that_does_not_fit_is_refused(their_url: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(CardError, match=message):
        mcp_tools(url=their_url, **options)  # type: ignore[arg-type]  # each is of its own type


def test_only_some_tools_are_taken(their_url: str) -> None:
    with mcp_tools("box", url=their_url, only=["draw", "hum"], converters=["hum"]) as tools:
        assert [(tool.card.name, tool.card.kind) for tool in tools] == [
            ("box-draw.v1", "generator"), ("box-hum.v1", "converter")
        ]  # fmt: skip


# -- arguments


def test_settings_arrive_as_what_they_are(theirs: McpTools, call: Call) -> None:
    assert call(theirs["shout"], text=Text("hi"), times=2, mood="loud") == Text("HI HI loud None None")
    assert call(theirs["shout"], text=Text("hi"), to="you", tags='["a", "ü"]') == Text("HI calm you ['a', 'ü']")


def test_a_setting_that_holds_json_is_read_when_the_graph_is_checked(theirs: McpTools, call: Call, one: One) -> None:
    assert call(theirs["paint"], brush='{"width": 3}', sizes="[1, 2]") == Text("3 black [1, 2]")
    with pytest.raises(GraphError, match="setting brush holds JSON, and this is none"):
        one(theirs["paint"], {"brush": "{width: 3}"})


def test_arguments_that_the_schema_forbids_are_not_sent(theirs: McpTools, call: Call) -> None:
    with pytest.raises(NodeFailed, match=r"\$\.brush\.width is not minimum 1") as failure:
        call(theirs["paint"], brush='{"width": 0, "colour": "secret"}')
    assert "secret" not in str(failure.value)


def test_media_arrive_byte_for_byte(theirs: McpTools, call: Call) -> None:
    assert call(theirs["weigh"], image=RED, copies=2) == Text("[200.0, 20.0, 30.0] 2")
    assert call(theirs["compare"], one=RED, other=RED) == Text("True")


def test_a_file_is_written_in_the_format_that_is_asked_for(theirs: McpTools, call: Call) -> None:
    assert call(theirs["look"], photo=RED) == Text("data:image/jpeg;base64 JPEG")


# -- results


def test_a_picture_comes_back_as_one(theirs: McpTools, call: Call) -> None:
    picture = call(theirs["draw"], red=77)
    assert isinstance(picture, Image)
    assert picture.rgb()[0, 0].tolist() == [77, 20, 30]


def test_words_beside_a_picture_are_left_out(theirs: McpTools, call: Call) -> None:
    assert isinstance(call(theirs["explain"]), Image)


def test_several_pictures_are_a_list(theirs: McpTools, call: Call) -> None:
    album = call(theirs["album"], count=3)
    assert [picture.rgb()[0, 0, 0] for picture in album] == [0, 1, 2]


def test_sound_is_what_the_caller_says_it_is(theirs: McpTools, call: Call) -> None:
    sound = call(theirs["hum"])
    assert isinstance(sound, Speech) and (sound.rate, sound.seconds) == (8000, 0.1)


def test_embedded_files_are_media(theirs: McpTools, call: Call) -> None:
    cloud = call(theirs["cloud"])
    assert isinstance(cloud, Points) and cloud.array[3].tolist() == [9.0, 10.0, 11.0]
    assert call(theirs["poem"]) == Text("Roses are")


def test_links_are_read_through_the_session(theirs: McpTools, call: Call) -> None:
    assert call(theirs["frame"], shade=123).rgb()[0, 0, 0] == 123
    with pytest.raises(NodeFailed, match="tool broken: it refused the call: Unknown resource"):
        call(theirs["broken"])


def test_structured_content_becomes_outputs(theirs: McpTools, call: Call) -> None:
    made = call(theirs["sketch"], red=88)
    assert made["picture"].rgb()[0, 0, 0] == 88
    assert (made["title"], made["strokes"]) == (Text("Dawn"), Text("[1, 2]"))
    assert call(theirs["count"]) == Text('{\n  "birds": 3\n}')


def test_media_that_no_output_takes_are_no_text(their_url: str, call: Call) -> None:
    with (
        mcp_tools(url=their_url, only=["draw"]) as tools,
        pytest.raises(
            NodeFailed, match=r"tool draw: it gave image, and its card says text; say what it makes, makes='image'"
        ),
    ):
        call(tools["draw"])


def test_several_media_for_one_output_are_refused(their_url: str, call: Call) -> None:
    with mcp_tools(url=their_url, only=["album"], makes="image") as tools:
        assert isinstance(call(tools["album"], count=1), Image)
        with pytest.raises(NodeFailed, match="gave image, and its card says image"):
            call(tools["album"], count=2)
        with pytest.raises(NodeFailed, match="it gave no image for its output image"):
            call(tools["album"], count=0)


def test_what_comes_back_passes_the_guard(theirs: McpTools, their_url: str, call: Call) -> None:
    with pytest.raises(NodeFailed, match="tool forged: data:image/png: not a picture"):
        call(theirs["forged"])
    with pytest.raises(NodeFailed, match=r"pictures://1: 268,435,457 bytes, the limit is 268,435,456"):
        call(theirs["frame"], shade=1, size=256 * 2**20 + 1)
    with (
        mcp_tools(url=their_url, only=["draw"], makes="image", limits=Limits(pixels=15)) as tools,
        pytest.raises(NodeFailed, match="16 pixels, the limit is 15"),
    ):
        call(tools["draw"])


# -- progress, seeds, transports


def test_progress_is_told(theirs: McpTools, call: Call) -> None:
    heard: list[Event] = []
    assert call(theirs["steps"], heard) == Text("done")
    assert [event.data for event in heard if event.kind == "progress"] == [
        (1.0, 4.0, "step 1"), (2.0, 4.0, "step 2"), (3.0, 4.0, "step 3")
    ]  # fmt: skip


def test_progress_without_a_total_says_no_fraction(theirs: McpTools, call: Call) -> None:
    heard: list[Event] = []
    call(theirs["steps"], heard, total=False)
    assert [event.data for event in heard if event.kind == "progress"] == [
        (0.0, 1.0, "step 1"), (0.0, 1.0, "step 2"), (0.0, 1.0, "step 3")
    ]  # fmt: skip


def test_a_parameter_may_be_the_seed(their_url: str, call: Call) -> None:
    with mcp_tools(url=their_url, only=["roll"], ports={"roll": {"seed": "seed"}}) as tools:
        assert tools["roll"].card.settings == ()
        first, again, other = (call(tools["roll"], seed=seed) for seed in (1, 1, 2))
    assert first == again != other


def test_one_session_serves_many_calls_and_headers_go_along(theirs: McpTools, their_url: str, call: Call) -> None:
    process, token = str(call(theirs["whoami"])).split(" ", 1)
    assert token == "in the environment"
    assert str(call(theirs["whoami"])).split()[0] == process
    with mcp_tools(url=their_url, headers={"X-Token": "in a header"}) as tools:
        assert str(call(tools["whoami"])).endswith("in a header")


def test_calls_run_side_by_side(theirs: McpTools, engine: Engine) -> None:
    from mmagent import Graph, GraphBuilder

    builder = GraphBuilder("two")
    for who in ("one", "other"):
        builder.output(who, builder.add(f"meet-{who}", theirs["meet"], who=builder.input(f"{who}-name", "text")))
    made = engine.run(Graph(builder), {"one-name": Text("me"), "other-name": Text("you")}).outputs
    assert made == {"one": Text("me"), "other": Text("you")}


def test_an_agent_uses_them(their_url: str, engine: Engine) -> None:
    with mcp_tools(url=their_url, only=["draw"], makes="image") as tools:
        script = ScriptedReasoner(["Look: ", Signal("image", "a square", tool="paint-box-draw")])
        reply = Agent(script, tools=tools, engine=engine)("Draw me a square.").check()
    assert isinstance(reply.parts[1], Image)
    assert reply.trace.calls[-1].tool == "paint-box-draw.v1"


def test_errors_name_server_tool_and_reason(theirs: McpTools, call: Call) -> None:
    with pytest.raises(NodeFailed) as failure:
        call(theirs["fail"], why=Text("paper"))
    cause = failure.value.__cause__
    assert isinstance(cause, RemoteError) and (cause.server, cause.tool) == ("paint-box", "fail")
    assert str(cause).startswith("MCP server paint-box, tool fail: Error executing tool fail: no paper left")
    assert len(str(cause)) < 600  # however long the server's own words are


@pytest.mark.parametrize("how", ["failure", "refusal", "progress and a link"])
def test_no_error_or_event_repeats_a_file(theirs: McpTools, call: Call, how: str) -> None:
    noise = Image(np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8))
    heard: list[Event] = []
    with pytest.raises(NodeFailed) as failure:
        call(theirs["repeat"], heard, image=noise, how=Text(how))
    told = f"{failure.value} {heard}"
    assert "[…]" in str(failure.value) and base64.b64encode(noise.encode()).decode()[:60] not in told
