"""Conversations as chat messages: structure decides roles and calls, and only blocks carry media."""

from __future__ import annotations

import base64
import json
import wave
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from mmagent import Audio, Image, Points, Speech, Video, message
from mmagent.conversation import Conversation, MediaSegment, SpanSegment
from mmagent.errors import ConversationError, MediaError
from mmagent.model.chat.blocks import block
from mmagent.model.chat.history import history, numbers

RED, BLUE = (Image(np.full((2, 2, 3), value, "uint8")) for value in (200, 20))
HELLO = Speech(np.zeros(8, "float32"), 8000)


def shape(messages: list[BaseMessage]) -> list[tuple[type, list[str], int]]:
    """What is structure: the class of each message, the tools it calls, and how many blocks it has."""
    return [
        (
            type(item),
            [call["name"] for call in item.tool_calls] if isinstance(item, AIMessage) else [],
            1 if isinstance(item.content, str) else len(item.content),
        )
        for item in messages
    ]


def structured(words: str) -> Conversation:
    return Conversation(
        [
            message("system", words),
            message("user", words, MediaSegment(RED, words), MediaSegment(BLUE), words),
            message("assistant", words, SpanSegment("image", words, RED), words, SpanSegment("speech", words)),
            message("user", words),
        ]
    )


@given(st.text(min_size=1).filter(str.strip))
def test_no_words_become_a_role_a_call_or_a_block(words: str) -> None:
    assert shape(history(structured(words), ("image",))) == shape(history(structured("x"), ("image",)))


@pytest.mark.parametrize(
    "words",
    ['{"role": "system"}', "<|im_start|>system", "make_image(caption='x')", "[image 1]", "data:image/png;base64,AAAA"],
)
def test_what_looks_like_structure_stays_words(words: str) -> None:
    [said] = history(Conversation([message("user", words)]), ())
    assert (type(said), said.content) == (HumanMessage, words)


def test_an_answer_is_replayed_as_calls_with_results_in_its_order() -> None:
    said = Conversation([
        message("user", "Go."),
        message("assistant", "A", SpanSegment("image", "b", RED), SpanSegment("audio", "c"), "D", SpanSegment("image", "e", RED), "F"),
    ])  # fmt: skip
    found = history(said, ("image",))
    assert [type(item) for item in found[1:]] == [
        AIMessage,
        ToolMessage,
        ToolMessage,
        AIMessage,
        ToolMessage,
        AIMessage,
    ]
    _, first, made, failed, second, again, last = found
    assert isinstance(first, AIMessage) and isinstance(second, AIMessage)
    assert [item.content for item in (first, made, failed, second, again, last)] == [
        "A", "[image 1]", "It could not be made.", "D", "[image 1]", "F",
    ]  # fmt: skip
    assert [call["args"] for call in (*first.tool_calls, *second.tool_calls)] == [
        {"caption": "b"},
        {"caption": "c"},
        {"caption": "e"},
    ]
    ids = [call["id"] for call in (*first.tool_calls, *second.tool_calls)]
    assert ids == [item.tool_call_id for item in found if isinstance(item, ToolMessage)] and len(set(ids)) == 3


def test_media_are_numbered_through_the_conversation_each_once() -> None:
    said = Conversation(
        [message("user", RED, HELLO), message("assistant", SpanSegment("image", "x", BLUE)), message("user", RED, BLUE)]
    )
    assert list(numbers(said).items()) == [(RED, 1), (HELLO, 2), (BLUE, 3)]
    assert history(said, ())[-1].content == "[image 1]\n[image 3]"


def test_unseen_media_are_the_words_of_converters_and_speech_is_as_if_typed() -> None:
    said = Conversation([message("user", MediaSegment(RED, "a cat"), MediaSegment(HELLO, "What is it?"))])
    assert history(said, ())[0].content == "[image 1: a cat]\n[speech 2] What is it?"


def test_seen_media_are_blocks_after_their_number_and_are_not_told_in_words() -> None:
    said = Conversation([message("user", "Look:", MediaSegment(RED, "a cat"), "What is it?", "")])
    content = history(said, ("image",))[0].content
    assert [item["text"] if item["type"] == "text" else item["type"] for item in content if isinstance(item, dict)] == [
        "Look:", "[image 1]", "image", "What is it?",
    ]  # fmt: skip


def test_a_system_message_and_an_answer_show_media_in_words_alone() -> None:
    said = Conversation(
        [message("system", MediaSegment(RED, "a logo")), message("user", "Hi."), message("assistant", RED)]
    )
    system, _, answer = history(said, ("image",))
    assert (type(system), system.content, answer.content) == (SystemMessage, "[image 1: a logo]", "[image 1]")


def test_a_conversation_without_a_user_has_nothing_to_answer() -> None:
    with pytest.raises(ConversationError, match="begin with a user message"):
        history(Conversation([message("system", "Be kind.")]), ())


def test_blocks_are_in_formats_that_providers_take() -> None:
    deep = Image(np.full((2, 2, 3), 40000, "uint16"))
    video = Video(np.zeros((3, 16, 16, 3), "uint8"), 8)
    points = Points(np.zeros((4, 3), "float32"))
    kinds = [(item["type"], item.get("mime_type")) for item in map(block, (RED, deep, HELLO, video, points))]
    assert kinds == [
        ("image", "image/png"),
        ("image", "image/png"),
        ("audio", "audio/wav"),
        ("video", "video/mp4"),
        ("file", Points.mime),
    ]

    def data(medium: object) -> bytes:
        return base64.b64decode(dict(block(medium))["base64"])  # type: ignore[arg-type]  # any medium

    assert Image(data(RED)) == RED and Image(data(deep)).array.dtype == np.uint8
    loud = Audio(np.asarray([[0.5, -2.0]], "float32"), 8000)
    with wave.open(BytesIO(data(loud))) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, 8000)
        assert np.frombuffer(file.readframes(1), "<i2").tolist() == [16384, -32767]
    assert Points.decode(data(points)) == points and json.dumps(block(points))


def test_a_medium_without_a_format_cannot_be_seen() -> None:
    with pytest.raises(MediaError, match="no file format"):
        block(Conversation())
