"""The pocket model on its real weights."""

from __future__ import annotations

import numpy as np
import pytest

from mmagent.conversation import (
    Conversation,
    MediaSegment,
    Message,
    Policy,
    Signal,
    SpanSegment,
    TextDelta,
    TextSegment,
    message,
)
from mmagent.media import Image
from mmagent.model import MMLM
from mmagent.model.zoo import find

pytestmark = pytest.mark.weights
ALL = {"image": "", "audio": "", "speech": "", "video": ""}
CAT = MediaSegment(Image(np.zeros((2, 2, 3), "uint8")), "tabby (62 %), tiger cat (21 %), Egyptian cat (9 %)")


@pytest.fixture(scope="module")
def pocket() -> MMLM:
    import torch

    torch.set_num_threads(2)
    model = MMLM(find("pocket"))
    model.load()
    return model


def speak(model: MMLM, conversation: Conversation, policy: Policy) -> tuple[str, list[Signal]]:
    said = list(model.speak(conversation, policy, ALL))
    words = "".join(item.text for item in said if isinstance(item, TextDelta))
    return words, [item for item in said if isinstance(item, Signal)]


def answer(model: MMLM, *parts: str | MediaSegment, **policy: object) -> tuple[str, list[Signal]]:
    return speak(model, Conversation([message("user", *parts)]), Policy(**policy))  # type: ignore[arg-type]  # any field of a policy


def test_a_plain_question_is_answered_in_words(pocket: MMLM) -> None:
    words, signals = answer(pocket, "What is the capital of France?")
    assert "Paris" in words
    assert signals == []


def test_a_question_about_a_picture_is_answered_and_spoken(pocket: MMLM) -> None:
    words, signals = answer(pocket, CAT, "What animal is in this picture?", force=("speech",))
    assert "cat" in words.lower() or "tabby" in words.lower()
    assert [item.modality for item in signals] == ["speech"]
    assert signals[0].caption == words.strip()


def test_a_request_to_draw_asks_for_a_picture_of_it(pocket: MMLM) -> None:
    _, signals = answer(pocket, "Draw a red car on a road.")
    assert [item.modality for item in signals] == ["image"]
    assert "car" in signals[0].caption
    states = signals[0].states
    assert states is not None and states.array.shape == (4, 576)


def test_most_requests_are_taken_for_what_they_are(pocket: MMLM) -> None:
    labelled = {
        "Paint a bowl of fruit.": "image", "I need a picture of a bridge.": "image", "Play the sound of a siren.": "audio",
        "Let me hear how a lion roars.": "audio", "Say goodbye out loud.": "speech", "Animate the moon rising.": "video",
        "Make an animation of a bouncing cube.": "video", "What is in the photo?": "text", "Why do leaves turn red?": "text",
        "How do I draw a face?": "text", "Who directed the film Jaws?": "text", "What made that noise?": "text",
    }  # fmt: skip
    asking = pocket._loaded().asking
    right = sum(asking.weigh(request)[0].kind == kind for request, kind in labelled.items())
    assert right >= 10


TALKS: list[list[tuple[str, tuple[str, ...]]]] = [
    [("What animal is in this picture?", ("speech",)), ("Is it a pet?", ()), ("What does it eat?", ()),
     ("Say that aloud.", ()), ("How old do they get?", ())],
    [("Draw a red car.", ()), ("What colour is it?", ()), ("Who invented the car?", ("speech",)), ("When was that?", ())],
    [("Make a video of a dog.", ("video",)), ("What does the dog do?", ()), ("Let me hear a bark.", ("audio",)),
     ("Do cats bark?", ()), ("Write a sentence about a horse.", ())],
]  # fmt: skip


@pytest.mark.parametrize("talk", TALKS, ids=["speech", "image and speech", "video and audio"])
def test_spans_of_earlier_turns_do_not_teach_the_model_to_write_them_out(
    pocket: MMLM, talk: list[tuple[str, tuple[str, ...]]]
) -> None:
    said = Conversation()
    openings = [output.opening.strip() for output in pocket.spec.outputs.values()]
    for turn, (request, force) in enumerate(talk):
        said = said.then(message("user", *([CAT] if turn == 0 and "picture" in request else []), request))
        words, signals = speak(pocket, said, Policy(force=force))
        assert words or signals
        assert not any(opening in words for opening in openings), (request, words)
        spans = [SpanSegment(item.modality, item.caption) for item in signals]
        said = said.then(Message("assistant", (TextSegment(words), *spans)))


def test_one_sentence_can_ask_for_two_things(pocket: MMLM) -> None:
    words, signals = answer(pocket, CAT, "What is this? Say it aloud, then draw two of them.")
    assert [item.modality for item in signals] == ["speech", "image"]
    assert signals[0].caption == words.strip()


@pytest.mark.parametrize("modality", ["image", "audio", "video"])
def test_captions_are_not_those_of_the_examples(pocket: MMLM, modality: str) -> None:
    ship = MediaSegment(CAT.media, "ocean liner (71 %), dock (12 %)")
    examples = {shot.caption for shot in pocket.spec.outputs[modality].shots}
    requests: list[list[str | MediaSegment]] = [["Draw it."], [ship, "Draw it."]]
    for parts in requests:
        _, signals = answer(pocket, *parts, force=(modality,), forbid=tuple(set(ALL) - {modality}))
        assert signals[0].caption not in examples
        assert not {"horse", "strawberry", "airliner", "bear", "wind"} & set(signals[0].caption.split())


def test_all_of_a_long_answer_is_spoken(pocket: MMLM) -> None:
    words, signals = answer(pocket, "What is a comet?", force=("speech",), max_caption=4)
    assert len(signals[0].caption.split()) > 4
    assert words.startswith(signals[0].caption)
