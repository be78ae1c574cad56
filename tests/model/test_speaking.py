from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmagent.conversation import (
    Conversation,
    MediaSegment,
    Message,
    Policy,
    Said,
    Signal,
    SpanOpened,
    TextDelta,
    message,
)
from mmagent.errors import Cancelled, ModelError, UnknownName
from mmagent.media import Image, Points, Speech
from mmagent.model import MMLM, Reasoner, ScriptedReasoner, load_model, models
from mmagent.model.asking import Asking, Weighed, clauses, request_of, sentences
from mmagent.model.spec import read_spec

Make = Callable[..., Any]
ALL = {"image": "draws", "speech": "speaks"}
DOT = Image(np.zeros((2, 2, 3), "uint8"))


@pytest.fixture(scope="module")
def model(backbone_of: Make, spec_of: Make) -> MMLM:
    return MMLM(spec_of(), backbone_of())


def ask(text: str) -> Conversation:
    return Conversation([message("user", text)])


def say(model: Reasoner, text: str = "Who sat?", policy: Policy | None = None, can: dict[str, str] = ALL) -> list[Said]:
    return list(model.speak(ask(text), policy or Policy(max_tokens=40, max_caption=8), can))


def check(said: list[Said], policy: Policy, can: dict[str, str]) -> None:
    """The order and the bounds that hold for every reply."""
    place, in_words, opened = 0, False, None
    signals = [item for item in said if isinstance(item, Signal)]
    for item in said:
        if isinstance(item, TextDelta):
            assert item.text and opened is None
            in_words = True
        elif isinstance(item, SpanOpened):
            place, in_words = place + in_words, False
            assert item.place == place and opened is None
            opened = item.modality
        else:
            assert isinstance(item, Signal)
            assert (item.modality, item.place) == (opened, place)
            place, opened = place + 1, None
            assert item.caption and item.states is not None and item.states.space == "small.signals"
            assert np.isfinite(item.states.array).all()
    assert opened is None
    assert len(signals) <= policy.max_spans
    for name in ("image", "speech"):
        count = sum(item.modality == name for item in signals)
        assert policy.force.count(name) <= count <= (policy.limit(name) if name in can else 0)


@settings(max_examples=40, deadline=None)
@given(
    st.text(max_size=20), st.lists(st.sampled_from(["image", "speech"]), max_size=2), st.integers(0, 2),
    st.sampled_from([0.0, 1.5]), st.integers(0, 99),
)  # fmt: skip
def test_every_reply_keeps_its_order_and_policy(
    model: MMLM, text: str, force: list[str], spare: int, temperature: float, seed: int
) -> None:
    policy = Policy(
        force=tuple(force),
        max_spans=len(force) + spare,
        max_tokens=30,
        max_caption=5,
        temperature=temperature,
        seed=seed,
    )
    check(say(model, text, policy), policy, ALL)


def test_nothing_is_asked_for_that_cannot_be_made_or_is_forbidden(model: MMLM) -> None:
    for can, policy in (({}, Policy(max_tokens=30)), (ALL, Policy(forbid=("image", "speech"), max_tokens=30))):
        assert all(isinstance(item, TextDelta) for item in say(model, "Draw a cat. Say it aloud.", policy, can))
    with pytest.raises(ModelError, match="cannot be made here"):
        say(model, policy=Policy(force=("image",)), can={"speech": ""})


def test_a_signal_has_the_states_of_its_k_tokens(model: MMLM) -> None:
    said = say(model, policy=Policy(force=("image",), max_tokens=30))
    states = next(item.states for item in said if isinstance(item, Signal) and item.modality == "image")
    assert states is not None
    assert states.array.shape == (3, 32)
    assert np.linalg.norm(np.diff(states.array, axis=0), axis=1).min() > 0


def test_speech_says_what_the_words_say(model: MMLM) -> None:
    policy = Policy(force=("speech",), forbid=("image",), max_tokens=60, max_caption=2)
    said = say(model, policy=policy)
    words = " ".join("".join(item.text for item in said if isinstance(item, TextDelta)).split())
    spoken = next(item.caption for item in said if isinstance(item, Signal))
    # A random model says halves of characters.
    assert spoken and words.replace("\ufffd", "").startswith(spoken.replace("\ufffd", ""))


def test_the_same_request_and_seed_give_the_same_reply(model: MMLM) -> None:
    warm = Policy(force=("image",), max_tokens=30, temperature=1.0, seed=3)
    assert say(model, policy=warm) == say(model, policy=warm)
    other = Policy(force=("image",), max_tokens=30, temperature=1.0, seed=4)
    assert say(model, policy=warm) != say(model, policy=other)


def test_replies_at_the_same_time_do_not_mix(model: MMLM) -> None:
    texts = ["Who sat?", "Draw a cat.", "the mat", "Say it aloud."]
    alone = [say(model, text) for text in texts]
    found: dict[int, list[Said]] = {}
    threads = [threading.Thread(target=lambda at=at: found.update({at: say(model, texts[at])})) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[at] for at in range(4)] == alone


def test_two_replies_taken_in_turns_do_not_mix(model: MMLM) -> None:
    one, two = say(model, "Who sat?"), say(model, "the mat")
    policy = Policy(max_tokens=40, max_caption=8)
    streams = [model.speak(ask(text), policy, ALL) for text in ("Who sat?", "the mat")]
    taken: list[list[Said]] = [[], []]
    while any(streams_left := [next(stream, None) for stream in streams]):
        for items, item in zip(taken, streams_left):
            items += [item] if item is not None else []
    assert taken == [one, two]


class Stopper:
    """A context that is cancelled after some looks at it."""

    seed, cancelled = 0, False

    def __init__(self, looks: int) -> None:
        self.looks = looks

    def check(self) -> None:
        self.looks -= 1
        if self.looks < 0:
            raise Cancelled("stopped")


def test_a_reply_stops_within_a_token_of_being_cancelled(model: MMLM) -> None:
    said: list[Said] = []
    stream: Iterator[Said] = model.speak(ask("Who sat?"), Policy(max_tokens=40), ALL, Stopper(5))  # type: ignore[arg-type]  # the part of a context that is used
    with pytest.raises(Cancelled):
        said.extend(stream)
    assert len(said) <= 5


def test_a_signal_is_about_the_media_of_the_last_message_the_last_one_first(model: MMLM) -> None:
    first, second = MediaSegment(DOT, "a dot"), MediaSegment(Points(np.zeros((1, 3), "float32")), "a point")
    said = Conversation([Message("user", (first,)), message("user", first, second, "Draw it.")])
    signal = next(
        item for item in model.speak(said, Policy(force=("image",), max_tokens=30), ALL) if isinstance(item, Signal)
    )
    assert signal.refs == (second.media, first.media)


def test_a_reply_can_be_answered_again_and_again(model: MMLM) -> None:
    from mmagent.conversation import SpanSegment

    said = ask("Draw a cat.")
    policy = Policy(force=("image",), max_tokens=20, max_caption=4)
    for _ in range(4):
        signal = next(item for item in model.speak(said, policy, ALL) if isinstance(item, Signal))
        said = said.then(Message("assistant", (SpanSegment("image", signal.caption, DOT),)), message("user", "again"))
    assert len(said) == 9


# -- asking


def test_what_somebody_spoke_is_a_request_and_what_a_picture_shows_is_not() -> None:
    spoken = MediaSegment(Speech(np.zeros(8, "float32"), 8000), "Draw it.")
    said = Conversation([message("user", MediaSegment(DOT, "say it aloud"), spoken, "Please.")])
    assert request_of(said) == "Draw it.\nPlease."


def test_a_request_is_weighed_sentence_by_sentence(model: MMLM) -> None:
    model.load()
    weighed = model._loaded().asking.weigh("Who sat? Draw a cat, then say it.")
    assert [item.words for item in weighed] == ["Who sat?", "Draw a cat, then say it."]
    assert [[part.words for part in item.clauses] for item in weighed] == [[], ["Draw a cat,", "then say it."]]
    assert all(set(item.scores) == {"text", "image", "speech"} for item in (*weighed, *weighed[1].clauses))


def test_of_a_long_request_the_first_and_the_last_sentences_are_weighed_without_their_clauses(model: MMLM) -> None:
    model.load()
    weighed = model._loaded().asking.weigh(" ".join(f"One, {number}." for number in range(20)))
    assert [item.words for item in weighed] == [f"One, {number}." for number in (0, 1, 2, 3, 16, 17, 18, 19)]
    assert not any(item.clauses for item in weighed)


def test_a_clause_asks_on_its_own_only_where_it_says_so_clearly() -> None:
    def weighed(image: float, *within: Weighed) -> Weighed:
        return Weighed("x", {"image": image, "speech": 0.0, "text": 1.0}, within)

    speech = Weighed("x", {"image": 0.0, "speech": 9.0, "text": 1.0})
    assert weighed(5.0, speech, weighed(3.0)).kinds(margin=3.0) == ["image", "speech"]
    assert weighed(5.0, speech, weighed(4.5)).kinds(margin=3.0) == ["speech", "image"]
    assert weighed(0.5, weighed(3.5), weighed(0.0)).kinds(margin=3.0) == ["text"]


def test_what_is_asked_for_and_cannot_be_made_is_answered_in_words_and_by_nothing_else(model: MMLM) -> None:
    model.load()
    asking = model._loaded().asking
    request = ask("Draw a cat.")
    scores = {"image": 9.0, "speech": 5.0, "text": 1.0}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Asking, "weigh", lambda *_: [Weighed("Draw a cat.", scores)])
        assert asking.parts(request, ["image", "speech"]) == ("image",)
        assert asking.parts(request, ["speech"]) == ("text",)


def test_sentences_are_cut_at_their_ends() -> None:
    assert sentences("One. Two?\n\nThree 3.5!") == ["One.", "Two?", "Three 3.5!"]
    assert sentences("  ") == []
    assert sentences("这是什么？画一只猫。") == ["这是什么？", "画一只猫。"]


def test_clauses_are_cut_at_punctuation_and_never_inside_numbers() -> None:
    assert clauses("Say it, draw it; play 1,000 notes.") == ["Say it,", "draw it;", "play 1,000 notes."]
    assert clauses("大声说，然后画") == ["大声说，", "然后画"]


# -- by name


def test_models_are_found_by_name_and_by_folder(tmp_path: Path, spec_of: Make) -> None:
    import yaml

    assert "pocket" in models()
    assert load_model("pocket").name == "pocket"
    (tmp_path / "model.yaml").write_text(yaml.safe_dump(spec_of().model_dump(mode="json")))
    assert load_model(str(tmp_path)).makes == ("image", "speech")
    with pytest.raises(UnknownName, match="did you mean pocket"):
        load_model("poket")


def test_everything_wrong_with_a_model_file_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "model.yaml").write_text("name: Bad Name\nbackbone: {}\ncolour: red\n")
    with pytest.raises(ModelError) as caught:
        read_spec(tmp_path)
    for word in ("name", "backbone", "colour"):
        assert word in str(caught.value)


def test_a_scripted_reasoner_says_its_script_within_the_policy() -> None:
    script = ScriptedReasoner(["Here you are. ", Signal("image", "a cat"), Signal("video", "a cat runs"), "Done."])
    assert isinstance(script, Reasoner)
    said = list(script.speak(ask("x"), Policy(), ALL))
    assert [item.text for item in said if isinstance(item, TextDelta)] == ["Here", " you", " are.", " ", "Done."]
    assert [(item.modality, item.place) for item in said if isinstance(item, Signal)] == [("image", 1)]
    assert all(isinstance(item, TextDelta) for item in script.speak(ask("x"), Policy(forbid=("image",)), ALL))
    assert len(script.heard) == 2


def test_a_model_by_name_imports_nothing_heavy() -> None:
    import subprocess
    import sys

    code = "import sys; from mmagent.model import load_model; load_model('pocket'); print([m for m in ('torch', 'transformers') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_what_stands_for_a_line_break_in_speech_is_a_space(model: MMLM) -> None:
    model.load()
    speaker = model._loaded()
    space = speaker._saying.space
    assert space is not None and speaker.backbone.tokens.decode([space]) == " "
