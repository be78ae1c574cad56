from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmagent import Conversation, Image, Policy, Text, message
from mmagent.conversation import MediaSegment, Message, SpanSegment, TextSegment
from mmagent.errors import ConversationError

CAT = Image(np.zeros((2, 2, 3), "uint8"))
DOG = Image(np.ones((2, 2, 3), "uint8"))


def test_a_message_keeps_its_parts_in_order() -> None:
    said = message("user", "look: ", CAT, Text("and "), DOG)
    assert said.segments == (TextSegment("look: "), MediaSegment(CAT), TextSegment("and "), MediaSegment(DOG))
    assert said.text == "look: and " and said.media == (CAT, DOG)


def test_only_the_assistant_writes_spans() -> None:
    Message("assistant", (SpanSegment("image", "a cat", CAT),))
    with pytest.raises(ConversationError, match="only the assistant"):
        Message("user", (SpanSegment("image", "a cat"),))


def test_a_wrong_role_and_a_wrong_part_are_named() -> None:
    with pytest.raises(ConversationError, match="'robot'"):
        message("robot", "hi")  # type: ignore[arg-type]
    with pytest.raises(ConversationError, match="not int"):
        message("user", 3)  # type: ignore[arg-type]


def test_words_go_to_the_media_that_have_none() -> None:
    talk = Conversation([message("user", CAT, MediaSegment(DOG, "a dog"), CAT)])
    words = [
        item.words for item in talk.with_words(["one", "two"]).messages[0].segments if isinstance(item, MediaSegment)
    ]
    assert words == ["one", "a dog", "two"]
    with pytest.raises(ConversationError, match="3 descriptions were given for 2"):
        talk.with_words(["one", "two", "three"])


segments = st.one_of(
    st.builds(TextSegment, st.text(max_size=8)),
    st.builds(MediaSegment, st.sampled_from([CAT, DOG]), st.none() | st.text(max_size=8)),
)
conversations = st.lists(
    st.builds(Message, st.sampled_from(["user", "system", "tool"]), st.lists(segments, max_size=3).map(tuple)),
    max_size=3,
)


@given(conversations, conversations)
def test_digests_tell_conversations_apart(one: list[Message], other: list[Message]) -> None:
    assert (Conversation(one).digest == Conversation(other).digest) == (one == other)


def test_text_cannot_pass_for_structure() -> None:
    split = Conversation([message("user", "a", "b")])
    joined = Conversation([message("user", "ab")])
    assert split.digest != joined.digest


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"force": ("image",), "forbid": ("image",)}, "both forces and forbids image"),
        ({"force": ("image", "image"), "most": (("image", 1),)}, "forces 2 image but allows at most 1"),
        ({"max_tokens": 0}, "must be positive"),
        ({"temperature": -1.0}, "must be positive"),
        ({"force": "speech"}, r"write force=\('speech',\)"),
        ({"forbid": ("imgae",)}, "names imgae, which cannot be asked for"),
        ({"force": ("text",)}, "names text, which cannot be asked for"),
        ({"budget": -1.0}, "budget is seconds"),
        ({"budget": float("nan")}, "budget is seconds"),
    ],
)
def test_a_policy_that_cannot_be_obeyed_is_refused(fields: dict[str, object], text: str) -> None:
    with pytest.raises(ConversationError, match=text):
        Policy(**fields)  # type: ignore[arg-type]


def test_limits_may_be_given_as_a_mapping() -> None:
    assert Policy(most={"image": 2}).most == (("image", 2),)  # type: ignore[arg-type]  # what people type


def test_limits_count_per_modality() -> None:
    policy = Policy(forbid=("video",), most=(("image", 2),), max_spans=3)
    assert [policy.limit(name) for name in ("video", "image", "audio")] == [0, 2, 3]
