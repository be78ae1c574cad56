"""Answers as providers stream them: pieces of calls in every order that servers are known to send."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.tool import tool_call_chunk

from mmagent.model.chat.asks import Call
from mmagent.model.chat.hearing import Hearing

A, B = '{"caption": "a"}', '{"caption": "b"}'


def piece(
    args: str | None = None, name: str | None = None, id: str | None = None, index: int | None = None
) -> AIMessageChunk:
    return AIMessageChunk(content="", tool_call_chunks=[tool_call_chunk(name=name, args=args, id=id, index=index)])


def hear(*chunks: AIMessage | str) -> tuple[list[Any], list[Any]]:
    """What was given out while the answer came, and at its end."""
    hearing = Hearing()
    messages = [AIMessageChunk(content=item) if isinstance(item, str) else item for item in chunks]
    return [item for message in messages for item in hearing.hear(message)], list(hearing.end())


def test_a_call_is_given_out_when_its_object_is_whole() -> None:
    came, rest = hear(piece("", "make_image", "1", 0), piece(A[:5], index=0), piece(A[5:], index=0), piece("", index=0))
    assert (came, rest) == ([Call("1", "make_image", A)], [])


def test_words_behind_a_call_wait_for_it() -> None:
    came, rest = hear("x", piece(A[:5], "f", "1", 0), "y", piece(A[5:], index=0), "z")
    assert (came, rest) == (["x", Call("1", "f", A), "y", "z"], [])


def test_calls_that_interleave_come_in_the_order_in_which_they_were_begun() -> None:
    came, _ = hear(piece("", "f", "1", 0), piece(B, "g", "2", 1), piece(A, index=0))
    assert came == [Call("1", "f", A), Call("2", "g", B)]


@pytest.mark.parametrize(
    "chunks",
    [
        [piece(A, "f", "1", 0), piece(B, "f", "2", 0)],  # every call has index 0
        [piece(A, "f", "1"), piece(B, "f", "2")],  # no index
        [piece(A[:4], "f", "1"), piece(A[4:]), piece(B, "f", "2")],  # no index, and pieces without an id
        [piece(A[:4], "f", "1", 0), piece(A[4:], "f", "1", 0), piece(B, "f", "2", 1)],  # name and id every time
        [AIMessage("", tool_calls=[{"name": "f", "args": {"caption": item}, "id": id} for item, id in (("a", "1"), ("b", "2"))])],
    ],
)  # fmt: skip
def test_servers_number_their_calls_in_many_ways(chunks: Sequence[AIMessage]) -> None:
    came, rest = hear(*chunks)
    assert [*came, *rest] == [Call("1", "f", A), Call("2", "f", B)]


def test_a_call_may_have_no_id() -> None:
    came, _ = hear(piece(A, "f"), piece(B, "g"))
    assert came == [Call("", "f", A), Call("", "g", B)]


def test_arguments_that_are_nested_too_deep_are_given_out_as_they_are() -> None:
    deep = '{"caption": ' + "[" * 3000 + "]" * 3000 + "}"
    assert hear(piece(deep, "f", "1", 0)) == ([], [Call("1", "f", deep)])


def test_what_is_no_object_comes_at_the_end_as_it_is() -> None:
    assert hear(piece("{}", "f", "1", 0), "y") == ([], [Call("1", "f", "{}"), "y"])
    assert hear(piece("{a}", "f", "1", 0)) == ([], [Call("1", "f", "{a}")])
    bad = AIMessage(
        "", invalid_tool_calls=[{"type": "invalid_tool_call", "name": "f", "args": "{a", "id": "1", "error": "no"}]
    )
    assert hear(bad) == ([Call("1", "f", "{a")], [])
    blocks = AIMessage(
        content_blocks=[{"type": "invalid_tool_call", "name": "f", "args": "{a", "id": "1", "error": "no"}]
    )
    assert hear(blocks) == hear(bad)


@pytest.mark.parametrize(
    "ended", [{"finish_reason": "length"}, {"stop_reason": "max_tokens"}, {"finish_reason": "MAX_TOKENS"}]
)
def test_only_the_last_call_is_cut_off_by_the_limit(ended: dict[str, str]) -> None:
    last = AIMessageChunk(content="", response_metadata=ended)
    assert hear(piece("{a", "f", "1", 0), piece("{b", "g", "2", 1), last)[1] == [
        Call("1", "f", "{a"),
        Call("2", "g", "{b", cut=True),
    ]


def test_a_character_that_is_cut_in_two_comes_whole_and_half_of_one_is_replaced() -> None:
    assert hear("a\ud83d", "\ude00b") == (["a", "😀b"], [])
    assert hear("a\ude00b")[0] == ["a\ufffdb"]


@given(st.data(), st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=4))
def test_however_a_stream_is_cut_the_same_is_heard(data: st.DataObject, captions: list[str]) -> None:
    import json

    calls = [json.dumps({"caption": item}) for item in captions]
    chunks: list[AIMessage | str] = []
    for number, arguments in enumerate(calls):
        chunks += [f"w{number}", piece("", "f", f"{number}", number)]
        while arguments:
            cut = data.draw(st.integers(1, len(arguments)))
            chunks.append(piece(arguments[:cut], index=number))
            arguments = arguments[cut:]
    came, rest = hear(*chunks)
    wanted = [item for number, call in enumerate(calls) for item in (f"w{number}", Call(f"{number}", "f", call))]
    assert (came, rest) == (wanted, [])
