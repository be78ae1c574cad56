"""Prompts with media in them, and prompts to learn from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmagent.conversation import Conversation, MediaSegment, Message, SpanSegment, TextSegment, message
from mmagent.errors import ConversationError
from mmagent.media import Embedding, Image
from mmagent.model.pieces import Piece, Seen
from mmagent.model.prompt import Lesson, Prompter
from mmagent.model.signals import SignalTable
from mmagent.model.tokens import Tokens
from mmagent.training.data.record import Record, Turn, Words
from mmagent.training.lessons import Teacher

Make = Callable[..., Any]
KINDS = ["chatml", "llama3", "mistral", "none"]
DOT = Image(np.zeros((2, 2, 3), "uint8"))
STATES = Embedding(np.ones((7, 4)), "eye.grid")
SEEN = MediaSegment(DOT, seen=STATES)


@pytest.fixture(scope="module")
def tokens_of(tokenizer_of: Make) -> dict[str, Tokens]:
    return {kind: Tokens(tokenizer_of(kind)) for kind in KINDS}


def prompter(tokens: Tokens, context: int = 512, system: str = "") -> Prompter:
    """Every medium takes seven tokens."""
    table = SignalTable(tokens.n_ids, {"image": 3, "speech": 1})
    return Prompter(tokens, table, system, context, length=lambda piece: 7 if isinstance(piece, Seen) else 1)


def read(tokens: Tokens, pieces: Sequence[Piece]) -> str:
    """Pieces in words; a medium as ◆, the ids of signals as ▹."""
    text = ""
    run: list[int] = []
    for piece in [*pieces, None]:
        if isinstance(piece, int) and piece < tokens.n_ids:
            run.append(piece)
            continue
        text, run = text + tokens.decode(run), []
        text += "" if piece is None else "◆" if isinstance(piece, Seen) else "▹"
    return text


def taught(tokens: Tokens, lesson: Lesson) -> str:
    """The pieces that are to be predicted."""
    return read(tokens, [piece for piece, target in zip(lesson.pieces, lesson.targets) if target])


def test_a_medium_that_is_seen_stands_at_its_place(tokens_of: dict[str, Tokens]) -> None:
    tokens = tokens_of["chatml"]
    said = Conversation([message("user", "Look:", SEEN, MediaSegment(DOT, "a dot"), SEEN, "What is it?")])
    found = read(tokens, prompter(tokens).pieces(said, room=10))
    assert "Look:\n[picture 1: ◆]\n[picture 2 shows: a dot]\n[picture 3: ◆]\nWhat is it?" in found


def test_a_medium_carries_its_states_and_its_mask(tokens_of: dict[str, Tokens]) -> None:
    states = Embedding(np.ones((2, 4)), "eye.grid", mask=[True, False])
    said = Conversation([message("user", MediaSegment(DOT, seen=states))])
    (piece,) = (piece for piece in prompter(tokens_of["chatml"]).pieces(said, 10) if isinstance(piece, Seen))
    assert piece.modality == "image" and np.array_equal(piece.states, states.array)
    assert piece.mask is not None and piece.mask.tolist() == [True, False]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.sampled_from(["the cat", SEEN]), min_size=1, max_size=5), min_size=1, max_size=6))
def test_prompts_with_media_keep_to_the_context(tokens_of: dict[str, Tokens], drawn: list[list[Any]]) -> None:
    tokens, ask = tokens_of["chatml"], prompter(tokens_of["chatml"], context=90)
    said = Conversation([message("user", *parts) for parts in drawn])
    found = ask.pieces(said, room=30)
    assert sum(7 if isinstance(piece, Seen) else 1 for piece in found) <= 60
    assert read(tokens, found).endswith("<|im_start|>assistant\n")
    whole = read(tokens, prompter(tokens).pieces(said, room=30))
    assert whole.endswith(read(tokens, found)[-12:])


def test_of_a_message_that_is_too_long_media_are_left_out_whole(tokens_of: dict[str, Tokens]) -> None:
    said = Conversation([message("user", *[SEEN] * 20, "why?")])
    found = prompter(tokens_of["chatml"], context=120).pieces(said, room=20)
    shown = sum(isinstance(piece, Seen) for piece in found)
    assert 1 <= shown < 20
    assert "why?<|im_end|>" in read(tokens_of["chatml"], found)


@pytest.mark.parametrize("kind", KINDS)
def test_a_lesson_begins_with_the_very_prompt_that_asks_for_its_reply(tokens_of: dict[str, Tokens], kind: str) -> None:
    tokens, ask = tokens_of[kind], prompter(tokens_of[kind], system="be brief")
    before = [message("user", SEEN, "who?"), message("assistant", "the cat"), message("user", "a dog?")]
    lesson = ask.lesson([*before, message("assistant", "the mat")], [[False, False], [False], [False], [True]])
    prompt = ask.pieces(Conversation(before), room=10)
    first = lesson.targets.index(True)
    assert read(tokens, lesson.pieces[:first]) == read(tokens, prompt)
    assert [piece for piece in lesson.pieces[:first] if isinstance(piece, int)] == [
        piece for piece in prompt if isinstance(piece, int)
    ]
    end = tokens.decode([tokens.end])
    assert taught(tokens, lesson).lstrip() == f"the mat{end}" and lesson.targets[-1]


def test_of_a_span_the_forced_signals_are_not_learnt_and_its_end_is(tokens_of: dict[str, Tokens]) -> None:
    tokens, ask = tokens_of["chatml"], prompter(tokens_of["chatml"])
    said = Message("assistant", (TextSegment("the mat"), SpanSegment("image", "a cat")))
    lesson = ask.lesson([message("user", "Who draws?"), said], [[False], [False, True]])
    assert taught(tokens, lesson) == "▹ a cat▹<|im_end|>"
    row = SignalTable(tokens.n_ids, {"image": 3, "speech": 1})["image"]
    assert [piece for piece in lesson.pieces if piece in row.signals] == list(row.signals)
    spoken = Message("assistant", (SpanSegment("speech", "the mat"), TextSegment("the cat")))
    assert taught(tokens, ask.lesson([spoken], [[True, False]])) == "▹ the mat▹"


def test_each_reply_that_is_learnt_ends(tokens_of: dict[str, Tokens]) -> None:
    tokens, ask = tokens_of["chatml"], prompter(tokens_of["chatml"])
    talk = [message("user", "a"), message("assistant", "b"), message("user", "c"), message("assistant", "d")]
    lesson = ask.lesson(talk, [[False], [True], [False], [True]])
    assert taught(tokens, lesson) == "b<|im_end|>d<|im_end|>"
    early = ask.lesson(talk, [[False], [True], [False], [False]])
    assert read(tokens, early.pieces).endswith("b<|im_end|>")  # nothing is learnt of what follows


def test_a_lesson_takes_media_that_nobody_has_opened(tokens_of: dict[str, Tokens]) -> None:
    from types import SimpleNamespace

    medium = Seen("audio", np.zeros((3, 4), "float16"))
    spoken: Any = SimpleNamespace(role="user", segments=(medium, TextSegment("what is it?")))
    lesson = prompter(tokens_of["chatml"]).lesson([spoken, message("assistant", "a dog")], [[False, False], [True]])
    assert medium in lesson.pieces
    assert "[recording 1: ◆]" in read(tokens_of["chatml"], lesson.pieces)


@pytest.mark.parametrize(
    ("said", "targets"),
    [(message("user", "hi"), [True]), (Message("assistant", (MediaSegment(DOT, "a dot"),)), [True])],
)
def test_only_what_the_assistant_says_can_be_learnt(
    tokens_of: dict[str, Tokens], said: Message, targets: list[bool]
) -> None:
    with pytest.raises(ConversationError, match="has a target that is not"):
        prompter(tokens_of["chatml"]).lesson([said], [targets])


def test_what_media_stand_for_is_part_of_what_a_conversation_is() -> None:
    other = Embedding(np.zeros((7, 4)), "eye.grid")
    digests = {
        Conversation([message("user", segment)]).digest
        for segment in (MediaSegment(DOT), SEEN, MediaSegment(DOT, seen=other), MediaSegment(DOT, "-"))
    }
    assert len(digests) == 4


def test_states_go_to_the_media_of_their_modality_that_have_nothing_yet() -> None:
    talk = Conversation([message("user", MediaSegment(DOT, "a dot"), DOT, SEEN, DOT)])
    first, second = (Embedding(np.full((1, 4), value), "eye.grid") for value in (1.0, 2.0))
    (said,) = talk.with_seen("image", [first, second]).messages
    assert [item.seen for item in said.segments if isinstance(item, MediaSegment)] == [None, first, STATES, second]
    with pytest.raises(ConversationError, match="3 encodings were given for 2 image"):
        talk.with_seen("image", [first, second, first])
    with pytest.raises(ConversationError, match="1 encodings were given for 0 audio"):
        talk.with_seen("audio", [first])


def test_an_llm_that_reads_a_prompt_as_a_whole_learns_one_reply_of_it(tokens_of: dict[str, Tokens]) -> None:
    ask = prompter(tokens_of["chatml"])
    teacher = Teacher(ask, SignalTable(400, {}), {}, lambda piece: 1, 512, single=True)
    asked, told = Turn("user", (Words("who?"),)), Turn("assistant", (Words("the cat", target=True),))
    unlearnt = Turn("assistant", (Words("a dog"),))
    assert teacher.lesson(Record("instruction", (asked, unlearnt, asked, told))).supervised
    with pytest.raises(ConversationError, match="learns one reply of a record"):
        teacher.lesson(Record("instruction", (asked, told, asked, told)))
    assert Teacher(ask, SignalTable(400, {}), {}, lambda piece: 1, 512).lesson(
        Record("instruction", (asked, told, asked, told))
    )
