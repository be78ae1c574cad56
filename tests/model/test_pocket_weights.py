"""The pocket model on its real weights."""

from __future__ import annotations

import numpy as np
import pytest

from mmagent.conversation import Conversation, MediaSegment, Policy, Signal, TextDelta, message
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


def answer(model: MMLM, *parts: str | MediaSegment, **policy: object) -> tuple[str, list[Signal]]:
    said = list(model.speak(Conversation([message("user", *parts)]), Policy(**policy), ALL))  # type: ignore[arg-type]  # any field of a policy
    words = "".join(item.text for item in said if isinstance(item, TextDelta))
    return words, [item for item in said if isinstance(item, Signal)]


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
    right = sum(asking.weigh(request, list(ALL))[0].kind == kind for request, kind in labelled.items())
    assert right >= 10
