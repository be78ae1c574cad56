"""An agent as a chat model: messages in, words and media out in order, whole and streamed; usage, stop sequences and options."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.messages.utils import count_tokens_approximately
from langchain_core.tools import tool as langchain_tool

from mmagent import Agent, Context, Engine, Image, Policy, Signal, Speech, Text, tool
from mmagent.adapters.langchain import AgentChatModel, MediaStore, Sources, media_of
from mmagent.conversation import Conversation, Said, TextDelta, Usage
from mmagent.errors import ConversationError, IntakeError
from mmagent.model import ScriptedReasoner
from mmagent.tool import ToolType

Make = Callable[..., Agent]

CAT = Image(np.full((4, 4, 3), 200, "uint8"))
STORY = ("Here is one. ", Signal("image", "a cat"), "And a sound:", Signal("speech", "purr"), " That is all.")


def added(chunks: Iterator[AIMessageChunk]) -> AIMessageChunk:
    first, *rest = chunks
    return first + rest if rest else first


def kinds(message: BaseMessage) -> list[str]:
    return [block["type"] for block in message.content_blocks]


# -- what comes out


def test_a_reply_has_its_parts_in_order(make_agent: Make) -> None:
    agent = make_agent(*STORY)
    message = AgentChatModel(agent=agent).invoke("Hello")
    assert kinds(message) == ["text", "image", "text", "audio", "text"]
    reply = agent("Hello")
    assert media_of(message) == [part for part in reply.parts if not isinstance(part, Text)]
    assert message.text == reply.text == "Here is one.\nAnd a sound:\nThat is all."


def test_words_alone_are_a_string(make_agent: Make) -> None:
    assert AgentChatModel(agent=make_agent("Hello you.")).invoke("Hi").content == "Hello you."


def test_speech_and_captions_come_with_the_blocks(make_agent: Make) -> None:
    blocks = AgentChatModel(agent=make_agent(*STORY)).invoke("Hi").content_blocks
    assert blocks[1].get("extras") == {"caption": "a cat"}
    assert blocks[3].get("mime_type") == "audio/wav"
    assert blocks[3].get("extras") == {"modality": "speech", "caption": "purr"}


def test_the_stream_adds_up_to_the_whole(make_agent: Make) -> None:
    model = AgentChatModel(agent=make_agent(*STORY))
    whole, full = model.invoke("Hi"), added(model.stream("Hi"))
    assert [_bare(block) for block in full.content_blocks] == [_bare(block) for block in whole.content_blocks]
    assert (full.usage_metadata, full.text) == (whole.usage_metadata, whole.text)
    assert full.response_metadata == whole.response_metadata
    assert full.chunk_position == "last"


async def test_the_async_stream_gives_the_same_chunks(make_agent: Make) -> None:
    model = AgentChatModel(agent=make_agent(*STORY))
    assert [chunk.content async for chunk in model.astream("Hi")] == [chunk.content for chunk in model.stream("Hi")]
    assert (await model.ainvoke("Hi")).content == model.invoke("Hi").content


def _bare(block: Any) -> dict[str, Any]:
    return {key: value for key, value in block.items() if key != "index"}


SAID = st.lists(
    st.one_of(
        st.text(st.characters(codec="ascii", exclude_categories=["Cc"]) | st.just(" "), max_size=12),
        st.builds(Signal, st.sampled_from(["image", "speech", "video"]), st.text("ab c", max_size=4)),
    ),
    max_size=6,
)


@settings(max_examples=40, deadline=None)
@given(SAID, st.sampled_from([None, "v1"]))
def test_whatever_is_said_streams_as_it_is_replied(pieces: list[str | Signal], version: str | None) -> None:
    agent = Agent(ScriptedReasoner(pieces, makes=("image", "speech")), tools=TOOLS, engine=ENGINE)
    model = AgentChatModel(agent=agent, output_version=version)
    full, whole, reply = added(model.stream("Hi")), model.invoke("Hi"), agent("Hi")
    assert [_bare(block) for block in full.content_blocks] == [_bare(block) for block in whole.content_blocks]
    assert full.text == whole.text == reply.text
    places = [part.modality for part in reply.parts]
    names = {"speech": "audio"}
    assert kinds(full) == [names.get(place, place) for place in places]


@tool(name="law-draw.v1", cost=0.1)
def law_draw(prompt: Text) -> Image:
    """Draw a picture."""
    return Image(np.full((2, 2, 3), len(prompt.text), "uint8"))


@tool(name="law-hum.v1", cost=0.1)
def law_hum(prompt: Text) -> Speech:
    """Hum."""
    return Speech(np.full(4, len(prompt.text) / 255, "float32"), 8000)


TOOLS: list[ToolType] = [law_draw, law_hum]
ENGINE = Engine()


@pytest.mark.parametrize("version", [None, "v1"])
def test_two_pictures_in_a_row_stay_two(make_agent: Make, version: str | None) -> None:
    agent = make_agent("One", Signal("image", "a"), Signal("image", "bb"), "two")
    model = AgentChatModel(agent=agent, output_version=version)
    made = [part for part in agent("Hi").parts if isinstance(part, Image)]
    for message in (model.invoke("Hi"), added(model.stream("Hi"))):
        assert kinds(message) == ["text", "image", "image", "text"] and media_of(message) == made


def test_the_events_of_a_stream_keep_the_order(make_agent: Make) -> None:
    model = AgentChatModel(agent=make_agent("One", Signal("image", "a"), Signal("image", "bb"), "two"))
    message = model.stream_events("Hi", version="v3").output
    assert kinds(message) == ["text", "image", "image", "text"] and len(media_of(message)) == 2


def test_words_stream_one_by_one_and_wait_for_the_medium_before_them(make_agent: Make) -> None:
    released, order = threading.Event(), list[str]()

    @tool(name="slow-draw.v1", cost=0.05)
    def slow_draw(prompt: Text) -> Image:
        """Draw, when it is told to."""
        assert released.wait(10)
        return CAT

    agent = make_agent("One two", Signal("image", "a cat"), "three", tools=(slow_draw,))
    for chunk in AgentChatModel(agent=agent).stream("Hi"):
        order += kinds(chunk)
        if chunk.text == " two":
            released.set()
    assert order == ["text", "text", "image", "text"]


def test_a_medium_is_told_before_the_words_that_follow_are_said() -> None:
    shown = threading.Event()

    class Waiting(ScriptedReasoner):
        def speak(self, *given: Any) -> Iterator[Said]:
            for piece in super().speak(*given):
                if isinstance(piece, TextDelta):
                    assert shown.wait(10)
                yield piece

    agent = Agent(Waiting([Signal("image", "a cat"), "There."]), tools=TOOLS, engine=Engine())
    order = []
    for chunk in AgentChatModel(agent=agent).stream("Hi"):
        order += kinds(chunk)
        shown.set()
    assert order == ["image", "text"]


def test_previews_are_no_part_of_a_message(make_agent: Make) -> None:
    @tool(name="sketch.v1", cost=0.05)
    def sketch(prompt: Text, ctx: Context) -> Image:
        """Draw, and show it half done."""
        ctx.preview(Image(np.zeros((1, 1, 3), "uint8")))
        return CAT

    model = AgentChatModel(agent=make_agent(Signal("image", "a cat"), tools=(sketch,)))
    assert media_of(added(model.stream("Hi"))) == [CAT]


def test_a_part_that_failed_says_why_in_its_place(make_agent: Make) -> None:
    @tool(name="broken-draw.v1", cost=0.05)
    def broken(prompt: Text) -> Image:
        """Fail."""
        raise ValueError("no paint")

    agent = make_agent("Look: ", Signal("image", "a cat"), "Sorry.", tools=(broken,))
    model = AgentChatModel(agent=agent)
    for message in (model.invoke("Hi"), added(model.stream("Hi"))):
        assert kinds(message) == ["text", "non_standard", "text"]
        value = message.content_blocks[1].get("value")
        assert isinstance(value, Mapping) and "no paint" in value["error"]
        assert (value["modality"], value["caption"]) == ("image", "a cat")
        assert message.text == "Look:\nSorry."


def test_what_nothing_may_serve_fails_in_its_place(make_agent: Make) -> None:
    class Unheeding(ScriptedReasoner):
        def speak(self, conversation: Conversation, policy: Policy, *given: Any) -> Iterator[Said]:
            yield TextDelta("Before ")
            yield Signal("points", "a cube")
            yield TextDelta("after")
            yield Signal("image", "a cat")

    model = AgentChatModel(agent=Agent(Unheeding(makes=("image",)), tools=TOOLS, engine=Engine()))
    for message in (model.invoke("Hi"), added(model.stream("Hi"))):
        assert kinds(message) == ["text", "non_standard", "text", "image"]
        assert "points" in str(message.content_blocks[1])


def test_an_empty_reply_is_an_empty_message(make_agent: Make) -> None:
    model = AgentChatModel(agent=make_agent())
    assert model.invoke("Hi").content == "" == added(model.stream("Hi")).content


def test_with_a_store_messages_carry_handles(make_agent: Make) -> None:
    store = MediaStore()
    model = AgentChatModel(agent=make_agent(*STORY), store=store)
    message = model.invoke("Hi")
    assert "base64" not in str(message.content) and len(store) == 2 and len(repr(message)) < 2000
    assert [item.modality for item in media_of(message, Sources(store))] == ["image", "speech"]
    again = model.invoke([HumanMessage("Hi"), message, HumanMessage("And now?")])
    assert kinds(again) == kinds(message)


def test_looking_again_goes_on_in_the_same_message(make_agent: Make) -> None:
    agent = make_agent(turns=[["One. ", Signal("image", "a cat")], ["It is bright. "]], look_again=1)
    message = AgentChatModel(agent=agent).invoke("Hi")
    agent = make_agent(turns=[["One. ", Signal("image", "a cat")], ["It is bright. "]], look_again=1)
    full = added(AgentChatModel(agent=agent).stream("Hi"))
    assert kinds(message) == kinds(full) == ["text", "image", "text"]
    assert message.text == full.text == "One.\nIt is bright."


# -- usage, names, stop sequences, policy


def test_usage_is_an_estimate_where_the_reasoner_does_not_count(make_agent: Make) -> None:
    message = AgentChatModel(agent=make_agent("Hello you.")).invoke("12345678")
    read, written = (count_tokens_approximately([item]) for item in (HumanMessage("12345678"), AIMessage("Hello you.")))
    assert message.usage_metadata == {"input_tokens": read, "output_tokens": written, "total_tokens": read + written}
    assert message.response_metadata["usage_estimated"] is True
    assert message.response_metadata["model_name"] == "scripted"


def test_usage_is_what_the_reasoner_counted() -> None:
    class Counting(ScriptedReasoner):
        def speak(self, *given: Any) -> Iterator[Said]:
            yield from super().speak(*given)
            yield Usage(120, 7)

    message = AgentChatModel(agent=Agent(Counting(["Yes."]), engine=Engine())).invoke("Hi")
    assert message.usage_metadata == {"input_tokens": 120, "output_tokens": 7, "total_tokens": 127}
    assert "usage_estimated" not in message.response_metadata


@pytest.mark.parametrize(
    ("stop", "text", "found"),
    [
        (["you"], "Thank", "you"),
        (["k y"], "Than", "k y"),
        (["ou", "you"], "Thank", "you"),
        (["nobody"], "Thank you all.", ""),
        (["all.x"], "Thank you all.", ""),
        (["", "T"], "", "T"),
    ],
)
def test_words_end_at_a_stop_sequence(make_agent: Make, stop: list[str], text: str, found: str) -> None:
    agent = make_agent("Thank you all.")
    for message in (
        AgentChatModel(agent=agent).invoke("Hi", stop=stop),
        AgentChatModel(agent=agent, stop=stop).invoke("Hi"),
        AgentChatModel(agent=agent).bind(stop=stop).invoke("Hi"),
        added(AgentChatModel(agent=agent).stream("Hi", stop=stop)),
    ):
        assert message.text == text
        assert message.response_metadata.get("stop_sequence", "") == found


def test_after_a_stop_sequence_the_reasoner_is_asked_for_no_more() -> None:
    class Endless(ScriptedReasoner):
        said = 0

        def speak(self, *given: Any) -> Iterator[Said]:
            while True:
                self.said += 1
                yield TextDelta(f" {self.said}")

    reasoner = Endless()
    assert AgentChatModel(agent=Agent(reasoner, engine=Engine())).invoke("Hi", stop=["3"]).text == "1 2"
    assert reasoner.said == 3


class Listening(ScriptedReasoner):
    """Keeps the policies under which it spoke."""

    policies: list[Policy]

    def speak(self, conversation: Conversation, policy: Policy, *given: Any) -> Iterator[Said]:
        self.policies = [*getattr(self, "policies", ()), policy]
        yield from super().speak(conversation, policy, *given)


def test_options_are_those_of_the_call_then_of_the_model_then_of_the_agent() -> None:
    reasoner = Listening(["Yes."])
    agent = Agent(reasoner, engine=Engine(), policy=Policy(max_tokens=5, temperature=0.5, seed=1))
    model = AgentChatModel(agent=agent, temperature=0.7, seed=2)
    model.invoke("Hi")
    model.bind(seed=3).invoke("Hi", max_tokens=9)
    model.invoke("Hi", policy=Policy(max_tokens=7, forbid=("image",)))
    assert [(item.max_tokens, item.temperature, item.seed) for item in reasoner.policies] == [
        (5, 0.7, 2), (9, 0.7, 3), (7, 0.7, 2),
    ]  # fmt: skip
    assert reasoner.policies[2].forbid == ("image",)


def test_a_policy_forces_and_forbids(make_agent: Make) -> None:
    agent = make_agent(*STORY)
    assert kinds(AgentChatModel(agent=agent, policy=Policy(forbid=("image", "speech"))).invoke("Hi")) == ["text"]


def test_an_option_that_there_is_not_is_refused(make_agent: Make) -> None:
    model = AgentChatModel(agent=make_agent("Yes."))
    with pytest.raises(ConversationError, match=r"a call takes policy, temperature.*not top_p"):
        model.invoke("Hi", top_p=0.5)
    with pytest.raises(ConversationError, match="does not call tools"):
        model.invoke("Hi", tools=[{"type": "function", "function": {"name": "x"}}])
    with pytest.raises(ConversationError, match="temperature"):
        AgentChatModel(agent=make_agent("Yes."), temperature=-1)
    with pytest.raises(IntakeError, match=r"write hosts=\['example.org'\]"):
        AgentChatModel(agent=make_agent("Yes."), hosts="example.org")


def test_it_says_that_it_calls_no_foreign_tools(make_agent: Make) -> None:
    @langchain_tool
    def weather(city: str) -> str:
        """Tell the weather."""
        return "sun"

    model = AgentChatModel(agent=make_agent("Yes."))
    with pytest.raises(NotImplementedError, match="scripted does not call tools of LangChain's"):
        model.bind_tools([weather])
    with pytest.raises(NotImplementedError):
        model.with_structured_output({"title": "answer", "type": "object", "properties": {}})
    assert model.profile is not None and model.profile["tool_calling"] is False
