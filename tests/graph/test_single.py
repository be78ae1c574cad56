"""A call as a graph: its inputs say what is known of the values, and the one node is the tool's."""

from __future__ import annotations

import numpy as np
import pytest

from mmagent.card import Card, Port
from mmagent.graph.single import single
from mmagent.media import Audio, Image, Media, Speech, Text

CARD = Card("mix.v1", "converter", (Port("audios", "audio", many=True), Port("text", "text")), (Port("mix", "audio"),))
SOUND, OTHER = (Audio(np.zeros((8, 1), dtype="float32"), rate) for rate in (8000, 16_000))
SPEECH = Speech(SOUND.array, 8000)
PICTURE = Image(np.zeros((2, 2, 3), dtype=np.uint8))


def test_the_node_is_called_as_its_tool_unless_an_input_is() -> None:
    graph = single(CARD, {"audios": [SOUND], "text": Text("a")}, {"gain": 2.0})
    [(name, node)] = graph.nodes.items()
    assert (name, node.tool, node.settings) == ("mix", "mix.v1", {"gain": 2.0})
    assert (graph.name, graph.outputs) == ("call-mix", {"mix": "mix.mix"})
    assert list(single(CARD, {"mix": Text("a")}, {}).nodes) == ["mix-call"]


def test_what_is_not_given_is_no_input() -> None:
    graph = single(CARD, {"audios": [SOUND], "text": None}, {})
    assert list(graph.inputs) == list(graph.nodes["mix"].inputs) == ["audios"]


@pytest.mark.parametrize(
    ("items", "port"),
    [
        ([SOUND, SOUND], "list[audio(rate=8000, channels=1)]"),
        ([SOUND, OTHER], "list[audio]"),
        ([SOUND, SPEECH], "list[audio(rate=8000, channels=1)]"),
        ([SOUND, PICTURE], "list[audio]"),  # which the engine refuses by the value
        ([], "list[audio]"),
    ],
    ids=["alike", "of other rates", "of related kinds", "of other kinds", "none"],
)
def test_a_list_declares_what_its_items_have_in_common(items: list[Media], port: str) -> None:
    assert str(single(CARD, {"audios": items}, {}).inputs["audios"]) == port
