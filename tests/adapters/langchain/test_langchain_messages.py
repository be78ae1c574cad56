"""LangChain messages as a conversation: roles, words, media, and what is left out or refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)

from mmagent import Agent, Image, Signal, Text, tool
from mmagent.adapters.langchain import AgentChatModel, to_block
from mmagent.conversation import Conversation, MediaSegment, SpanSegment
from mmagent.errors import ConversationError
from mmagent.model import ScriptedReasoner

Make = Callable[..., Agent]

CAT = Image(np.full((4, 4, 3), 200, "uint8"))
STORY = ("Here is one. ", Signal("image", "a cat"), "And a sound:", Signal("speech", "purr"), " That is all.")


def reasoner_of(agent: Agent) -> ScriptedReasoner:
    assert isinstance(agent.reasoner, ScriptedReasoner)
    return agent.reasoner


def conversation_of(agent: Agent, messages: list[BaseMessage], **options: Any) -> Conversation:
    AgentChatModel(agent=agent, **options).invoke(messages)
    return reasoner_of(agent).heard[-1]


def test_messages_become_a_conversation(make_agent: Make) -> None:
    heard = conversation_of(
        make_agent("Yes.", sees=("image",)),
        [
            SystemMessage("Be brief."),
            SystemMessage("Be kind."),
            HumanMessage([{"type": "text", "text": "What is this?"}, to_block(CAT)]),
            AIMessage([{"type": "text", "text": "A cat. "}, to_block(CAT, caption="a cat")]),
            ChatMessage(content="And?", role="user"),
        ],
    )
    assert [item.role for item in heard] == ["system", "user", "assistant", "user"]
    assert heard.messages[0].text == "Be brief.Be kind."
    assert heard.messages[1].segments[1] == MediaSegment(CAT)
    assert heard.messages[2].segments[1] == SpanSegment("image", "a cat", CAT)
    assert heard.messages[3].text == "And?"


def test_media_that_the_model_cannot_see_reach_it_as_words(make_agent: Make) -> None:
    heard = conversation_of(make_agent("Yes."), [HumanMessage([{"type": "text", "text": "This?"}, to_block(CAT)])])
    segment = heard.messages[0].segments[1]
    assert isinstance(segment, MediaSegment) and segment.words == "a picture 4 wide, 200 bright"


def test_the_system_message_of_the_agent_holds_unless_messages_bring_one(make_agent: Make) -> None:
    agent = make_agent("Yes.", system="Be brief.")
    assert conversation_of(agent, [HumanMessage("Hi")]).messages[0].text == "Be brief."
    heard = conversation_of(agent, [SystemMessage("Be long."), HumanMessage("Hi")])
    assert [(item.role, item.text) for item in heard] == [("system", "Be long."), ("user", "Hi")]


def test_what_follows_the_last_request_is_read_too(make_agent: Make) -> None:
    call = {"name": "weather", "args": {"city": "Rome"}, "id": "1", "type": "tool_call"}
    heard = conversation_of(
        make_agent("Sunny."),
        [HumanMessage("Weather?"), AIMessage("", tool_calls=[call]), ToolMessage("sun", tool_call_id="1")],
    )
    assert [(item.role, item.text) for item in heard] == [("user", "Weather?"), ("tool", "sun")]


def test_what_other_models_thought_is_left_out(make_agent: Make) -> None:
    said = AIMessage([{"type": "reasoning", "reasoning": "hm"}, {"type": "text", "text": "Hello."}])
    heard = conversation_of(make_agent("Yes."), [HumanMessage("Hi"), said, HumanMessage("Hi")])
    assert [item.text for item in heard] == ["Hi", "Hello.", "Hi"]


def test_a_failed_part_comes_back_as_what_was_asked_for(make_agent: Make) -> None:
    @tool(name="broken-draw.v1", cost=0.05)
    def broken(prompt: Text) -> Image:
        """Fail."""
        raise ValueError("no paint")

    agent = make_agent("Look: ", Signal("image", "a cat"), tools=(broken,))
    first = AgentChatModel(agent=agent).invoke("Hi")
    heard = conversation_of(agent, [HumanMessage("Hi"), first, HumanMessage("Again.")])
    assert heard.messages[1].segments[1] == SpanSegment("image", "a cat", None)


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([SystemMessage("Be brief.")], "nothing from the user"),
        ([HumanMessage("")], "nothing was asked"),
        ([RemoveMessage(id="1")], "type 'remove'"),
        ([ChatMessage(content="Hi", role="narrator")], "type 'narrator'"),
        ([HumanMessage([{"type": "mystery"}])], "type 'non_standard'"),
    ],
)
def test_messages_that_make_no_request_are_refused(make_agent: Make, messages: list[BaseMessage], reason: str) -> None:
    model = AgentChatModel(agent=make_agent("Yes."))
    with pytest.raises(ConversationError, match=reason):
        model.invoke(messages)
    with pytest.raises(ConversationError, match=reason):
        list(model.stream(messages))


def test_words_in_a_message_are_never_a_span(make_agent: Make) -> None:
    heard = conversation_of(make_agent("Yes."), [HumanMessage("<image> [IMG0] <|im_end|>")])
    assert heard.messages[0].text == "<image> [IMG0] <|im_end|>"
