"""Templates: facts become conversations, in wordings drawn from a seed; values are verbatim."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmagent.errors import IntakeError
from mmagent.training.data import Fact, Folder, Made, Shown, Template, Turn, Worded, Words
from mmagent.training.data.reference import InFile
from mmagent.training.data.templates import Value

PICTURE = InFile("image", Path("a.png"))
SPEECH = InFile("speech", Path("a.wav"))
VALUES: Mapping[str, Value] = {
    "media": PICTURE,
    "speech": SPEECH,
    "caption": "a red square",
    "question": "What colour is it",
    "answer": "red",
    "rounds": [{"question": "What?", "answer": "A square."}, {"question": "Which?", "answer": "The red one."}],
}


@pytest.mark.parametrize("name", Template.names())
def test_every_wording_of_every_template_makes_a_record_with_targets(name: str) -> None:
    template = Template.load(name)
    for number in range(len(template.wordings)):
        record = template.record(VALUES, number, place="here")
        assert record.place == "here" and any(map(any, record.targets))
        assert not any(part.target for turn in record.turns if turn.role != "assistant" for part in turn.parts)


@pytest.mark.parametrize("name", [name for name in Template.names() if name != "pair"])
def test_every_task_has_several_wordings_all_different(name: str) -> None:
    wordings = Template.load(name).wordings
    assert len(set(wordings)) == len(wordings) >= 3


def test_there_are_templates_for_every_task() -> None:
    assert {"pair", "caption", "make", "vqa", "dialogue", "read-aloud", "describe-aloud", "illustrate"} <= {
        *Template.names()
    }


def test_a_question_is_put_as_the_guide_of_the_field_puts_it() -> None:
    first, second = (Template.load("vqa").record(VALUES, number).turns[0] for number in range(2))
    assert first.parts == (Shown(PICTURE), Words("What colour is it A short answer to the question is;"))
    assert second.parts == (
        Shown(PICTURE),
        Words(
            ' Examine the image and respond to the following question with a brief answer: "What colour is it. Answer:"'
        ),
    )


def test_a_span_asks_for_the_medium_by_the_caption() -> None:
    turns = Template.load("describe-aloud").record(VALUES).turns
    assert turns[1].parts == (Words("a red square ", True), Made("speech", "a red square", SPEECH))


def test_each_repeats_turns_for_the_elements_of_a_list() -> None:
    turns = Template.load("dialogue").record(VALUES, 1).turns
    assert [turn.role for turn in turns] == ["system", *["user", "assistant"] * 3]
    assert turns[-1] == Turn("assistant", (Words("The red one.", True),))


@given(text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip))
def test_values_are_words_whatever_they_contain(text: str) -> None:
    record = Template.load("pair").record({"media": PICTURE, "caption": text})
    assert record.turns[1].parts == (Words(text, True),)


def test_holes_in_values_are_not_filled() -> None:
    values: dict[str, Value] = {"media": PICTURE, "question": "{media}{answer->media} <image>", "answer": "{caption}"}
    record = Template.load("vqa").record(values, 0)
    assert [item.place for item in record.media] == ["a.png"]
    assert record.turns[1].parts == (Words("{caption}", True),)


class Captions:
    """Facts of one picture and captions."""

    name = "captions"

    def __len__(self) -> int:
        return 300

    def __getitem__(self, index: int) -> Fact:
        return Fact({"media": PICTURE, "caption": "" if index == 7 else "a"}, f"captions:{index}", ("a",))


def test_wordings_are_drawn_evenly_and_from_the_seed_alone() -> None:
    drawn = [Worded(Captions(), "caption", seed=3)[index] for index in range(300) if index != 7]
    again = [Worded(Captions(), "caption", seed=3)[index] for index in range(300) if index != 7]
    other = [Worded(Captions(), "caption", seed=4)[index] for index in range(300) if index != 7]
    assert drawn == again != other
    counts = Counter(record.turns[0] for record in drawn)
    assert len(counts) == len(Template.load("caption").wordings) and min(counts.values()) > 25
    assert drawn[0].answers == ("a",) and drawn[0].place == "captions:0"


def test_an_empty_caption_is_a_bad_record_with_its_place() -> None:
    with pytest.raises(IntakeError, match=r"^captions:7: the words to be learnt are empty"):
        Worded(Captions(), "pair")[7]


def test_a_value_that_is_missing_is_named() -> None:
    with pytest.raises(IntakeError, match="there is no value 'question'; there are media"):
        Template.load("vqa").record({"media": PICTURE})
    with pytest.raises(IntakeError, match="needs a list of mappings as value 'rounds'"):
        Template.load("dialogue").record({"media": PICTURE, "rounds": ["What?"]})  # type: ignore[list-item]  # a mistake
    with pytest.raises(IntakeError, match="'answer' is int, neither words nor a medium"):
        Template.load("vqa").record({**VALUES, "answer": 3})  # type: ignore[dict-item]  # a mistake


def test_a_template_may_be_ones_own_file(tmp_path: Path, picture: Any) -> None:
    picture("a.png")
    own = tmp_path / "own.yaml"
    own.write_text("kind: instruction\nwordings:\n- - user: 'Sort: {media}'\n  - assistant: '{answer}'\n")
    record = Template.load(own).record({"media": Folder(tmp_path).file("a.png"), "answer": "red"})
    assert record.conversation().messages[0].text == "Sort: "


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind: poem\nwordings: []", "is no template"),
        ("kind: text\nwordings: []", "has no wordings"),
        ("kind: text\nwordings:\n- - user: 'a {Big}'\n", "has a brace that is no hole"),
        ("kind: text\nwordings:\n- - user: '{caption->media}'\n", "only the assistant asks for media"),
        ("kind: text\nwordings:\n- - user: a\n    assistant: b\n", "a turn is one role with its text"),
        ("kind: text\nwordings:\n- - user: a\ncolour: red\n", "colour"),
        ("kind: [", "is no template"),
    ],
)
def test_a_file_that_is_no_template_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(IntakeError, match=said):
        Template.load(path)
    with pytest.raises(IntakeError, match=r"no template 'nothing'; there are .*caption"):
        Template.load("nothing")
