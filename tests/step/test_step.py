"""A step as a graph: encoders for what the reasoner sees, words for what it does not, and its own reply behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import numpy as np
import pytest

from mmagent import Constraint, Embedding, Image, Points, Policy, Text, message, tool
from mmagent.card import Port
from mmagent.conversation import Conversation, MediaSegment
from mmagent.errors import ConversationError, GraphError
from mmagent.graph.library import Library
from mmagent.model import ScriptedReasoner
from mmagent.model.reasoner import Encoder
from mmagent.registry import Registry
from mmagent.step import compile_step
from mmagent.tool import ToolType

DOT, SHAPE = Image(np.zeros((2, 2, 3), "uint8")), Points(np.zeros((1, 3), "float32"))
PORT = Port("states", "embedding", constraints={"width": 2, "space": "eye.grid"})


@tool(name="step-eye", kind="encoder", weights="a" * 64)
def eye(image: Image) -> Annotated[Embedding, Constraint(width=2, space="eye.grid")]:
    """Look."""
    return Embedding(np.ones((1, 2)), "eye.grid")


@tool(cost=0.001)
def feel(points: Points) -> Text:
    """Name a shape."""
    return Text("a ball")


class Seeing(ScriptedReasoner):
    """A script that reads pictures as an encoder's states."""

    def __init__(self, encoder: str = "step-eye", weights: str = "a" * 64) -> None:
        super().__init__(["I see."], sees=("image",), makes=("audio",))
        self._encoder = Encoder(encoder, PORT, weights=weights)

    @property
    def encoders(self) -> Mapping[str, Encoder]:
        return {"image": self._encoder}

    @property
    def tools(self) -> Sequence[ToolType]:
        return ()


@pytest.fixture
def library() -> Library:
    tools = Registry()
    tools.add(eye, feel)
    return Library(tools)


def test_what_is_seen_is_encoded_and_the_rest_put_into_words(library: Library) -> None:
    talk = Conversation([message("user", DOT, SHAPE, "who?")])
    step = compile_step(talk, Seeing(), Policy(), library)
    assert list(step.inputs.values()) == [talk, DOT, SHAPE]
    called = {node.name: node.tool for node in step.plan.nodes}
    assert called["encode-1"] == "step-eye.v1" and "feel.v1" in called.values()
    assert {"words-2", "compose", "answer"} <= called.keys() and "words-1" not in called


def test_what_is_seen_already_is_not_encoded_again(library: Library) -> None:
    seen = MediaSegment(DOT, seen=Embedding(np.ones((1, 2)), "eye.grid"))
    step = compile_step(Conversation([message("user", seen, "who?")]), Seeing(), Policy(), library)
    assert [node.name for node in step.plan.nodes] == ["answer"]


def test_an_encoder_that_is_not_here_is_named_where_something_is_shown(library: Library) -> None:
    blind = Seeing("gone-eye")
    with pytest.raises(
        GraphError, match=r"encode \(gone-eye\): expected the encoder that scripted sees image by.*fix:"
    ):
        compile_step(Conversation([message("user", DOT)]), blind, Policy(), library)
    assert compile_step(Conversation([message("user", SHAPE)]), blind, Policy(), library).plan


def test_an_encoder_of_other_weights_or_of_nothing_seen_is_refused(library: Library) -> None:
    talk = Conversation([message("user", DOT)])
    with pytest.raises(GraphError, match=f"expected weights {'b' * 64}, got {'a' * 64}"):
        compile_step(talk, Seeing(weights="b" * 64), Policy(), library)
    with pytest.raises(GraphError, match="expected an encoder of image, got feel"):
        compile_step(talk, Seeing("feel"), Policy(), library)


def test_what_is_forced_must_have_a_way(library: Library) -> None:
    talk = Conversation([message("user", "Sing.")])
    assert list(compile_step(talk, Seeing(), Policy(), library).refused) == ["audio"]
    for name, why in (("audio", "audio"), ("image", "cannot ask for image; it asks for audio")):
        with pytest.raises(ConversationError, match=f"the policy forces {name}: .*{why}"):
            compile_step(talk, Seeing(), Policy(force=(name,)), library)
