"""Spoken words are judged by recognising them, with whatever recogniser is named."""

from __future__ import annotations

import numpy as np
import pytest

from mmagent import Graph, Speech, Text, tool
from mmagent.errors import CardError
from mmagent.graph.single import single
from mmagent.pocket.judges.speech import recognised, word_errors
from mmagent.registry import Registry
from mmagent.registry import registry as shelves

pytest.importorskip("jiwer")


@tool
def words_by_length(speech: Speech) -> Text:
    """Hears one word for each tenth of a second."""
    return Text(" ".join(["two", "red", "cats"][: round(10 * speech.seconds)]))


@tool
def shout(text: Text) -> Speech:
    """No recogniser."""
    return spoken(len(text.text))


def spoken(tenths: int) -> Speech:
    return Speech(np.full(800 * tenths, 0.1, np.float32), 8000)


@pytest.fixture
def registry() -> Registry:
    made = Registry()
    made.add(words_by_length, shout)
    return made


def test_each_is_heard_and_errors_are_shares_of_the_words_that_were_wanted(registry: Registry) -> None:
    said = [spoken(3), spoken(1)]
    assert recognised(said, "words-by-length", registry) == ["two red cats", "two"]
    score = word_errors(said, ["Two red cats.", "two cats"], "words-by-length", registry)
    assert score is not None and score.value == pytest.approx(1 / 5)
    assert word_errors([], [], "words-by-length", registry) is None


def test_a_tool_that_makes_no_text_of_speech_is_refused(registry: Registry) -> None:
    with pytest.raises(CardError, match=r"shout\.v1 is no recogniser; name a tool that makes text of speech"):
        recognised([spoken(1)], "shout", registry)


@pytest.mark.weights
def test_what_the_pocket_voice_says_is_understood() -> None:
    wanted = "two cats on a blue background"
    card = shelves.find("say").card
    said = Graph(single(card, {"text": Text(wanted)}, {})).run(text=Text(wanted))["speech"]
    assert isinstance(said, Speech)
    score = word_errors([said], [wanted])
    assert score is not None and score.value <= 0.2
