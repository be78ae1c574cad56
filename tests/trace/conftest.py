"""A turn with everything in it that a trace can show: two steps, every status, each wire, errors, all kinds of media."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html.parser import HTMLParser

import numpy as np
import pytest

from mmagent.engine.events import Call, Handle
from mmagent.media import Audio, Embedding, Image, Media, Speech, Text
from mmagent.trace import Candidate, Edge, Node, Part, Route, Step, Trace
from mmagent.trace.data import Said
from mmagent.trace.markup import VOID


@dataclass(frozen=True)
class Turn:
    """A trace and the media that it names."""

    trace: Trace
    media: dict[str, Media]


def make_turn(word: Callable[[str], str] = str) -> Turn:
    """The turn; `word` may replace every string that a user, model or tool chooses."""
    sound = np.sin(np.arange(1600, dtype="float32") / 5) / 2
    photo = Image(np.arange(48 * 64 * 3, dtype="uint32").astype("uint8").reshape(48, 64, 3))
    drawn = Image(np.zeros((8, 16, 3), dtype="uint8"))
    asked, spoken = Audio(sound, 16000), Speech(-sound, 16000)
    words, again = Text(word("A cat on a mat.")), Text(word("A second look."))
    states = Embedding(np.ones((4, 8)), "pocket.image", digest="e" * 64)
    every: list[Media] = [photo, drawn, asked, spoken, words, again, states]

    def by(medium: Media) -> Handle:
        return Handle(medium.modality, medium.digest)

    tag, answer, say, paint, hum, cut = (word(name) for name in ("tag", "answer", "1/say", "2/paint", "3/hum", "3/cut"))
    first = Step(
        nodes=(
            Node(tag, word("image-tags.v1"), "converter"),
            Node(answer, word("answer.v1"), "reasoner"),
            Node(say, word("speak.v1"), "generator", place=1),
            Node(paint, word("paint.v1"), "generator", place=2),
            Node(hum, word("hum.v1"), "converter", place=3),
            Node(cut, word("resample.v1"), "converter", inserted=True, place=3),
        ),
        edges=(
            Edge(word("input-1"), tag, "image", "image"),
            Edge(tag, answer, "words", "text"),
            Edge(answer, say, "text", "text"),
            Edge(answer, paint, "prompt", "embedding"),
            Edge(answer, hum, "image", "image"),
            Edge(hum, cut, "audio", "audio"),
        ),
        calls=(
            Call(tag, word("image-tags.v1"), 1, 0, "cached", 0.01, 0.001, 3, "a" * 64, {word("most"): 5},
                 {word("picture"): (by(photo),)}, {"text": (by(words),)}),
            Call(answer, word("answer.v1"), 2, 0, "finished", 0.02, 2.0, 4, "", {}, {"words": (by(words),)}, {"text": (by(words),)}),
            Call(say, word("speak.v1"), 3, 2, "finished", 0.5, 0.8, 5, "b" * 64, {"speed": 1.0, "voice": word("low")},
                 {"text": (by(words),)}, {"speech": (by(spoken),)}, 2),
            Call(paint, word("paint.v1"), 4, 2, "finished", 1.0, 1.5, 6, "c" * 64, {}, {"prompt": (by(states),)}, {"image": (by(drawn),)}),
            Call(hum, word("hum.v1"), 5, 2, "failed", 1.2, 0.1, 7, "d" * 64, {}, {"image": (by(photo),)}, {}, 3, word("ValueError: too dark")),
            Call(cut, word("resample.v1"), 6, 2, "skipped", 1.3, 0.0, 8, ""),
        ),
        routes=(
            Route(1, "speech", word("A cat on a mat."), "text", (word("speak.v1"),), word("it takes the caption"),
                  (Candidate((word("speak.v1"),), "text", True, "it takes the caption", 0.8),
                   Candidate((word("paint.v1"), word("say-what.v1")), "text", False, word("it takes more steps"), 3.0, True)), (), None, 0.45),
            Route(2, "image", word("a cat, drawn"), "embedding", (word("project.v1"), word("paint.v1")), "a trained projector leads to its space",
                  (), (by(photo),), by(states), 0.9),
            Route(3, "audio", word("a cat, hummed"), "refs", (word("hum.v1"), word("resample.v1")), "it takes what the signal refers to"),
        ),
        spec=word("name: turn\n"),
    )  # fmt: skip
    second = Step(
        nodes=(Node(answer, word("answer.v1"), "reasoner"),),
        edges=(),
        calls=(Call(answer, word("answer.v1"), 1, 0, "cancelled", 2.6, 0.4, 9, ""),),
        routes=(Route(1, "video", word("a cat, filmed"), None, (), word("no tool makes it"), (), (), None, 2.9),),
        spec=word("name: look again\n"),
    )
    parts = (
        Part(0, "text", by(words), "", 0.4),
        Part(1, "speech", by(spoken), "", 1.3),
        Part(2, "image", by(drawn), "", 2.5),
        Part(3, "audio", None, word("node 3/hum failed: too dark"), 1.3),
        Part(4, "text", by(again), "", 2.8, 1),
        Part(5, "video", None, word("no tool makes it"), 2.9, 1),
    )
    request = (
        Said("system", (("text", word("Be brief."), None),)),
        Said(
            "user",
            (
                ("text", word("What is it?"), None),
                ("media", word("somebody asks"), by(asked)),
                ("media", word("cat, mat"), by(photo)),
            ),
        ),
    )
    trace = Trace(
        model=word("pocket"),
        seed=7,
        policy={word("force"): [word("image")], "lossy": True, "budget": None},
        request=request,
        steps=(first, second),
        parts=parts,
        media={item.digest: {"modality": item.modality, **item.describe(), "note": word("a fact")} for item in every},
        seconds=3.0,
        first_token=0.3,
        first_audio=1.3,
        version="0.1.0",
    )
    return Turn(trace, {item.digest: item for item in every})


@pytest.fixture
def turn() -> Turn:
    return make_turn()


@pytest.fixture
def turn_of() -> Callable[[Callable[[str], str]], Turn]:
    return make_turn


class Reading(HTMLParser):
    """A page as a browser's parser sees it: elements with attributes in order, text, and whether tags balance."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.faults: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        self.faults += [f"<{tag}> is never closed" for tag in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open[-1] != tag:
            self.faults.append(f"</{tag}> closes {self._open[-1:] or 'nothing'}")
        else:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        self.text += data

    def values(self, name: str) -> list[str]:
        """The values of one attribute throughout the page."""
        return [value or "" for _, attributes in self.elements for key, value in attributes.items() if key == name]

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of every element of that name."""
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture
def read() -> type[Reading]:
    return Reading
