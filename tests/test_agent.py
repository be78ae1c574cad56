from __future__ import annotations

import asyncio
import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmagent import (
    Agent,
    Audio,
    Context,
    Engine,
    Graph,
    GraphBuilder,
    Image,
    PartError,
    Reply,
    Signal,
    Speech,
    Text,
    tool,
)
from mmagent.conversation import MediaSegment, SpanSegment
from mmagent.errors import CardError, ConversationError, IntakeError, NodeFailed, RunError, UnknownName
from mmagent.model import ScriptedReasoner

CAT = Image(np.full((4, 4, 3), 200, "uint8"))
DOG = Image(np.full((4, 4, 3), 20, "uint8"))


@tool(cost=0.001)
def look(image: Image) -> Text:
    """Name what is in a picture."""
    return Text("a cat" if image.array.mean() > 100 else "a dog")


@tool(cost=0.1)
def draw(prompt: Text) -> Image:
    """Draw a picture of what the words say."""
    return Image(np.full((2, 2, 3), len(prompt.text), "uint8"))


@tool(cost=0.2)
def fail(prompt: Text) -> Audio:
    """Make a sound."""
    raise ValueError("no loudspeaker")


@tool(cost=0.1)
def sonify(image: Image, tempo: int = 120) -> Audio:
    """Turn a picture into a melody."""
    return Audio(np.full(tempo, float(image.array.mean()) / 255, "float32"), 8000)


def agent(*pieces: str | Signal, tools: tuple[object, ...] = (look, draw), **options: object) -> Agent:
    return Agent(ScriptedReasoner(pieces), tools=tools, engine=Engine(), **options)  # type: ignore[arg-type]


def test_the_reply_keeps_the_order_in_which_the_model_made_it() -> None:
    reply = agent("First. ", Signal("image", "one"), "Then. ", Signal("image", "three"), "Done.")("Draw two.")
    assert reply.parts == (Text("First."), draw(Text("one")), Text("Then."), draw(Text("three")), Text("Done."))
    assert reply.text == "First.\nThen.\nDone."


def test_media_that_the_model_cannot_see_reach_it_in_words() -> None:
    mine = agent("Nice.")
    reply = mine("What are these? ", CAT, DOG)
    heard = mine.reasoner.heard[0].messages[-1]  # type: ignore[attr-defined]  # a ScriptedReasoner
    assert [item.words for item in heard.segments if isinstance(item, MediaSegment)] == ["a cat", "a dog"]
    assert {call.tool for call in reply.trace.calls} >= {"look.v1", "turn-compose.v1", "turn-answer.v1"}


def test_media_that_it_sees_are_left_as_they_are() -> None:
    reasoner = ScriptedReasoner(["Nice."], sees=["image"])
    Agent(reasoner, tools=[look], engine=Engine())("What is this? ", CAT)
    assert [item.words for item in reasoner.heard[0].messages[-1].segments if isinstance(item, MediaSegment)] == [None]


def test_media_that_no_tool_reads_are_told_by_their_facts() -> None:
    mine = agent("Hm.")
    from mmagent import Points

    mine("What is this?", Points(np.zeros((5, 3), "float32")))
    heard = mine.reasoner.heard[0].messages[-1].segments[-1]  # type: ignore[attr-defined]
    assert heard.words == "points that no tool can put into words (points 5, features 3)"


def test_a_failed_part_is_an_error_in_its_place_and_the_others_survive() -> None:
    reply = agent("Here. ", Signal("audio", "a bell"), Signal("image", "a bell"), tools=(draw, fail))("Go.")
    words, broken, picture = reply.parts
    assert words == Text("Here.") and picture == draw(Text("a bell"))
    assert isinstance(broken, PartError) and (broken.modality, broken.caption) == ("audio", "a bell")
    assert "no loudspeaker" in broken.error and reply.failed == (broken,)
    with pytest.raises(RunError, match="no loudspeaker"):
        reply.check()


def test_a_users_tool_is_reached_through_what_the_reply_refers_to() -> None:
    mine = agent("Listen. ", Signal("audio", "its melody"), tools=(look,))
    mine.add(sonify)
    reply = mine("Play this.", CAT)
    assert reply.parts[1] == sonify(CAT)
    route = reply.trace.routes[0]
    assert (route.wire, route.path) == ("refs", ("sonify.v1",)) and route.refs[0].digest == CAT.digest


def test_a_graph_is_a_tool_that_the_router_may_use() -> None:
    builder = GraphBuilder("melody-of")
    picture = builder.add("draw", draw, prompt=builder.input("wish", "text"))
    builder.output("audio", builder.add("sonify", sonify, image=picture))
    mine = agent("Listen. ", Signal("audio", "a tune"), tools=(draw,))
    mine.add(Graph(builder))
    reply = mine("Make a tune.")
    assert reply.parts[1] == sonify(draw(Text("a tune")))
    assert reply.trace.routes[0].path == ("melody-of.v1",)
    assert {"1/melody-of/draw", "1/melody-of/sonify"} <= {call.node for call in reply.trace.calls}


def test_a_graph_of_a_name_is_replaced_and_a_tool_that_a_graph_names_is_not() -> None:
    def tune(item: Any) -> Graph:
        builder = GraphBuilder("tune")
        builder.output("audio", builder.add("sonify", item, image=builder.input("picture", "image")))
        return Graph(builder)

    @tool(name="sonify")
    def other(image: Image) -> Audio:
        """Another tool of that name."""
        return sonify(image)

    mine = agent("Listen.")
    mine.add(tune(sonify))
    with pytest.raises(CardError, match=r"another tool sonify\.v1"):
        mine.add(tune(other))
    assert mine.library.registry.get("sonify") is sonify


def test_what_nothing_can_make_is_not_offered() -> None:
    offered: list[dict[str, str]] = []

    class Curious(ScriptedReasoner):
        def speak(self, conversation, policy, modalities, ctx=None):  # type: ignore[no-untyped-def]
            offered.append(dict(modalities))
            return super().speak(conversation, policy, modalities, ctx)

    mine = Agent(Curious(["Hm."], makes=["image", "depth"]), tools=[draw], engine=Engine())
    mine("Draw.")
    assert offered == [{"image": "Draw a picture of what the words say."}]


def test_parts_are_made_while_the_model_still_speaks() -> None:
    made = threading.Event()

    @tool
    def quick(prompt: Text) -> Image:
        made.set()
        return CAT

    class Waiting(ScriptedReasoner):
        def speak(self, conversation, policy, modalities, ctx=None):  # type: ignore[no-untyped-def]
            for said in super().speak(conversation, policy, modalities, ctx):
                if getattr(said, "text", "") == "after":
                    assert made.wait(20), "the picture waited for the end of the reply"
                yield said

    reply = Agent(Waiting([Signal("image", "a cat"), "after"]), tools=[quick], engine=Engine())("Go.")
    assert reply.parts == (CAT, Text("after"))


def test_the_conversation_is_remembered_with_media_by_handle() -> None:
    mine = agent("See. ", Signal("image", "a cat"))
    mine("Look: ", CAT)
    mine("And now?")
    user, said, again, _ = mine.conversation.messages
    assert user.media == (CAT,) and again.text == "And now?"
    span = said.segments[1]
    assert isinstance(span, SpanSegment) and span.made == draw(Text("a cat"))
    mine.forget()
    assert len(mine.conversation) == 0


def test_a_seen_medium_is_not_converted_again_in_the_next_turn() -> None:
    mine = agent("Yes.")
    mine("Look: ", CAT)
    reply = mine("And now?")
    assert "look.v1" not in {call.tool for call in reply.trace.calls}


def test_it_may_look_at_what_it_made_so_often_and_no_more() -> None:
    reasoner = ScriptedReasoner(turns=[["A. ", Signal("image", "one")], ["B. ", Signal("image", "two2")], ["C."]])
    reply = Agent(reasoner, tools=[look, draw], engine=Engine(), look_again=1)("Draw, then say what you drew.")
    assert [part.text for part in reply.parts if isinstance(part, Text)] == ["A.", "B."]
    shown = reasoner.heard[1].messages[-1]
    assert shown.role == "tool" and shown.segments[0] == MediaSegment(draw(Text("one")), "a dog")
    assert len(reply.trace.steps) == 2


def test_streaming_tells_tokens_as_they_come_and_ends_in_the_same_reply() -> None:
    mine = agent("One two. ", Signal("image", "x"))
    stream = mine.stream("Go.")
    with pytest.raises(ConversationError, match="not complete"):
        _ = stream.reply
    words = "".join(event.data for event in stream if event.kind == "token")
    assert words == "One two. "
    assert stream.reply.parts == agent("One two. ", Signal("image", "x"))("Go.").parts


async def test_it_runs_inside_a_running_loop() -> None:
    mine = agent("Hi.", Signal("image", "x"))
    assert (await mine.arun("Go.")).parts == mine("Go.").parts
    stream = mine.stream("Go.")
    kinds = [event.kind async for event in stream]
    assert "token" in kinds and stream.reply.text == "Hi."


def test_same_request_and_seed_same_bytes() -> None:
    @tool
    def noise(prompt: Text, ctx: Context) -> Image:
        return Image(np.random.default_rng(ctx.seed).integers(0, 255, (4, 4, 3), "uint8"))

    def made(seed: int) -> object:
        return agent(Signal("image", "x"), tools=(noise,))("Go.", seed=seed).parts[0]

    assert made(1) == made(1) != made(2)


def test_what_keeps_it_from_answering_is_raised() -> None:
    @tool
    def blind(image: Image) -> Text:
        raise ValueError("too dark")

    with pytest.raises(NodeFailed, match="too dark"):
        agent("Hm.", tools=(blind,))("What is this?", CAT)
    with pytest.raises(ConversationError, match="nothing was asked"):
        agent("Hm.")()
    with pytest.raises(UnknownName, match="no-such-model"):
        Agent("no-such-model")("Hi.")


def test_undeclared_audio_passes_a_visible_detector() -> None:
    plan = agent("Hm.").plan("What is this?", Audio(np.zeros(16000, "float32"), 16000))
    tools = [node.card.short for node in plan.graph.nodes]
    assert "speech-detector" in tools and "speech-recognition" in tools
    said = agent("Hm.").plan("What is this?", Speech(np.zeros(16000, "float32"), 16000))
    assert "speech-detector" not in [node.card.short for node in said.graph.nodes]


def test_a_plan_runs_nothing() -> None:
    @tool
    def never(image: Image) -> Text:
        raise AssertionError("a plan ran a tool")

    plan = Agent(ScriptedReasoner(makes=["image", "video", "depth"]), tools=[never, draw], engine=Engine()).plan(
        "Go.", CAT
    )
    assert plan.makes["image"].path == ("draw.v1",)
    assert "no tool makes it" in plan.refused["depth"]
    assert plan.forecast.seconds > 0


def test_a_reply_is_saved_and_loaded_whole(tmp_path: Path) -> None:
    reply = agent("Here. ", Signal("image", "a cat"), Signal("audio", "a bell"), tools=(draw, fail, look))("Go: ", CAT)
    paths = reply.save(tmp_path / "out")
    assert [path.name for path in paths] == ["1.txt", "2.png", "3.error.txt"]
    assert Image(paths[1]) == reply.parts[1]
    assert "<html" in (tmp_path / "out" / "trace.html").read_text("utf-8")
    again = Reply.load(tmp_path / "out")
    assert again.parts == reply.parts and again.trace == reply.trace
    reply.save(tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "1.txt", "2.png", "3.error.txt", "media", "trace.html", "trace.json",
    ]  # fmt: skip
    with pytest.raises(IntakeError, match="holds no saved reply"):
        Reply.load(tmp_path)


def test_a_trace_names_media_by_handle_alone() -> None:
    reply = agent("Here. ", Signal("image", "a cat"))("Go: ", CAT)
    assert CAT.digest in reply.trace.to_json()
    assert "base64" not in reply.trace.to_json() and "data:" not in reply.trace.to_json()


def test_a_replay_changes_one_thing_and_leaves_the_memory_alone(tmp_path: Path) -> None:
    @tool(name="draw.v2")
    def better(prompt: Text) -> Image:
        return DOG

    mine = agent("Here. ", Signal("image", "a cat"), Signal("audio", "x"), tools=(look, draw, sonify))
    reply = mine("Go: ", CAT)
    before = mine.conversation
    assert reply.replay().parts == reply.parts
    assert reply.replay({"sonify": {"tempo": 60}}).parts[2] == sonify(CAT, 60)
    assert reply.replay({"input-1": DOG}).parts[2] == sonify(DOG)
    mine.add(better)
    assert reply.replay({"draw.v1": "draw.v2"}, agent=mine).parts[1] == DOG
    assert mine.conversation == before
    with pytest.raises(ConversationError, match="the request has 1 media"):
        reply.replay({"input-2": DOG})
    with pytest.raises(UnknownName, match="drew"):
        reply.replay({"drew": "draw.v2"})
    reply.save(tmp_path)
    loaded = Reply.load(tmp_path)
    with pytest.raises(ConversationError, match="give one"):
        loaded.replay()
    assert loaded.replay(agent=mine).parts[0] == Text("Here.")


def test_agents_side_by_side_do_not_mix() -> None:
    async def both() -> list[Reply]:
        return list(await asyncio.gather(*(agent(f"{n}. ", Signal("image", "x" * n)).arun("Go.") for n in range(1, 9))))

    for number, reply in enumerate(asyncio.run(both()), 1):
        assert reply.parts == (Text(f"{number}."), draw(Text("x" * number)))


def test_a_model_by_name_is_made_once_however_many_ask_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    several, made = threading.Barrier(2), list[str]()

    def slow(name: str) -> ScriptedReasoner:
        made.append(name)
        with contextlib.suppress(threading.BrokenBarrierError):
            several.wait(0.1)  # another one would come by now
        return ScriptedReasoner(["Hi."])

    monkeypatch.setattr("mmagent.model.load_model", slow)
    mine = Agent("pocket", engine=Engine())
    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(lambda _: mine.reasoner, range(2))
    assert one is two and made == ["pocket"]
