"""Asking: questions out of records, answers kept as they come, runs that go on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mmagent import Agent, Engine, Image, Signal, Text, tool
from mmagent.errors import IntakeError, MissingExtra, RunError
from mmagent.evaluation.prediction import Journal, Prediction, read
from mmagent.evaluation.runs import AgentAnswers, Asked, ask, questions
from mmagent.model import ScriptedReasoner
from mmagent.training.data import BadRecord, BadRecords, Jsonl, Made, Record, Turn, Words
from mmagent.training.data.reference import InFile


def shade(asked: Asked) -> str:
    """An answerer that is right about everything but the darkest square."""
    image = asked.parts[0]
    assert isinstance(image, Image)
    return f"Shade {max(1, (int(image.array.mean()) - 20) // 40)}."


def said(*words: str) -> Turn:
    return Turn("assistant", tuple(Words(item, target=True) for item in words))


def test_every_target_of_a_record_is_a_question_with_what_came_before_it() -> None:
    user = Turn("user", (Words("One?"),))
    made = Turn("assistant", (Words("Here: ", True), Made("image", "a cat"), Made("speech", "a cat", target=False)))
    record = Record("instruction", (user, said("1"), user, made), answers=("here", "there"), place="x:1")
    first, second = questions(record, "x:1")
    assert (first.id, first.history, first.turn, first.references, first.wanted) == ("x:1.0", (), user, ("1",), ())
    assert second.history == (user, said("1")) and second.references == ("here", "there")
    assert second.wanted == ("image", "speech")


def test_a_record_that_asks_nothing_is_a_bad_one() -> None:
    with pytest.raises(BadRecord, match=r"x:1.*nothing to ask"):
        list(questions(Record("text", (said("a document"),), place="x:1"), "x:1"))


def test_predictions_hold_what_was_asked_and_said_and_the_media(source: Jsonl, tmp_path: Path) -> None:
    with Journal(tmp_path / "run") as journal:
        found = ask(shade, source, journal, {"system": "eye"})
    assert [item.answer for item in found] == ["Shade 1.", *(f"Shade {number}." for number in range(1, 6))]
    assert found == read(tmp_path / "run")
    picture, words = found[2].prompt
    assert picture.open(tmp_path / "run") == Image(np.full((8, 8, 3), 100, np.uint8))
    assert words.text == "What is its shade?" and found[2].references == ("shade 2",)


def test_inputs_are_not_kept_if_nobody_wants_them(source: Jsonl, tmp_path: Path) -> None:
    with Journal(tmp_path / "run") as journal:
        found = ask(shade, source, journal, {}, keep_inputs=False)
    assert list((tmp_path / "run" / "media").iterdir()) == []
    with pytest.raises(IntakeError, match="kept no media"):
        found[0].prompt[0].open(tmp_path / "run")


def test_a_killed_run_goes_on_where_it_was(source: Jsonl, tmp_path: Path) -> None:
    asked: list[Asked] = []

    def dies(item: Asked) -> str:
        if len(asked) == 3:
            raise KeyboardInterrupt
        asked.append(item)
        return shade(item)

    with pytest.raises(KeyboardInterrupt), Journal(tmp_path) as journal:
        ask(dies, source, journal, {"system": "eye"})
    file = tmp_path / "predictions.jsonl"
    file.write_bytes(file.read_bytes() + b'{"key": "cut in the mid')
    asked.clear()

    def lives(item: Asked) -> str:
        asked.append(item)
        return shade(item)

    with Journal(tmp_path) as journal:
        found = ask(lives, source, journal, {"system": "eye"})
    assert len(asked) == 3 and len(found) == 6 and read(file) == found


def test_other_settings_or_other_words_are_asked_anew(source: Jsonl, squares: Path, tmp_path: Path) -> None:
    count = 0

    def counted(item: Asked) -> str:
        nonlocal count
        count += 1
        return "x"

    with Journal(tmp_path) as journal:
        ask(counted, source, journal, {"seed": 0})
        ask(counted, source, journal, {"seed": 0})
        assert count == 6
        ask(counted, source, journal, {"seed": 1})
        assert count == 12
        squares.write_text(squares.read_text().replace("shade?", "brightness?", 1))
        ask(counted, Jsonl(squares), journal, {"seed": 0})
        assert count == 13


def test_an_answer_that_fails_is_told_and_asked_again_by_the_next_run(source: Jsonl, tmp_path: Path) -> None:
    def fails(item: Asked) -> str:
        raise RunError("out of breath")

    with Journal(tmp_path) as journal:
        found = ask(fails, source, journal, {})
        assert {item.error for item in found} == {"out of breath"} and found[0].answer == ""
    with Journal(tmp_path) as journal:
        assert [item.error for item in ask(shade, source, journal, {})] == [""] * 6
    assert [item.error for item in read(tmp_path)] == [""] * 6


def test_what_would_fail_every_time_stops_the_run(source: Jsonl, tmp_path: Path) -> None:
    def lacks(item: Asked) -> str:
        raise MissingExtra("torch", "local", "the model")

    with Journal(tmp_path) as journal, pytest.raises(MissingExtra):
        ask(lacks, source, journal, {})


def test_bad_records_are_fatal_or_told(source: Jsonl, squares: Path, tmp_path: Path) -> None:
    (squares.parent / "3.png").write_bytes(b"no picture")
    with Journal(tmp_path / "a") as journal, pytest.raises(BadRecord, match=r"3\.png"):
        ask(shade, source, journal, {})
    bad = BadRecords("skip", report=tmp_path / "bad.jsonl")
    with Journal(tmp_path / "b") as journal:
        assert len(ask(shade, source, journal, {}, bad=bad)) == 5
    assert bad.count == 1 and "3.png" in json.loads((tmp_path / "bad.jsonl").read_text())["place"]


@tool
def draw(prompt: Text) -> Image:
    """Draw the words, unless they are about a ghost."""
    if "ghost" in prompt.text:
        raise ValueError("nobody can draw a ghost")
    return Image(np.full((4, 4, 3), len(prompt.text), np.uint8))


def test_an_agent_answers_in_a_conversation_of_its_own(source: Jsonl, tmp_path: Path) -> None:
    reasoner = ScriptedReasoner(["So: ", Signal("image", "a cat"), Signal("image", "a ghost")], sees=["image"])
    agent = Agent(reasoner, tools=[draw], engine=Engine(), system="Be brief.")
    with Journal(tmp_path) as journal:
        first, *_ = ask(AgentAnswers(agent), source, journal, {})
    assert [message.role for message in reasoner.heard[-1]] == ["system", "user"]
    assert len(agent.conversation) == 1, "the agent remembers what it did before"
    words, picture, ghost = first.parts
    assert words.text == "So:" and picture.open(tmp_path) == draw(Text("a cat"))
    assert (ghost.text, "nobody can draw" in ghost.error) == ("a ghost", True)
    assert first.made == ("image", "image") and first.answer == "So:"


def test_what_was_said_before_is_the_conversation_that_the_agent_goes_on_with(tmp_path: Path) -> None:
    class One:
        name = "one"

        def __len__(self) -> int:
            return 1

        def __getitem__(self, index: int) -> Record:
            before = Turn("assistant", (Words("1"), Made("image", "a cat", target=False)))
            asked = (Turn("user", (Words("One?"),)), before, Turn("user", (Words("Two?"),)), said("2"))
            return Record("instruction", asked, place="x")

    reasoner = ScriptedReasoner(["2"])
    with Journal(tmp_path) as journal:
        ask(AgentAnswers(Agent(reasoner, engine=Engine())), One(), journal, {})
    assert [(item.role, item.text) for item in reasoner.heard[0]] == [
        ("user", "One?"),
        ("assistant", "1"),
        ("user", "Two?"),
    ]


def test_predictions_that_are_none_are_refused_with_their_line(tmp_path: Path) -> None:
    good = Prediction(key="k", id="1", settings={}, prompt=()).model_dump_json()
    (tmp_path / "predictions.jsonl").write_text(f'{good}\n{{"key": 3}}\n')
    with pytest.raises(IntakeError, match="line 2 is no prediction"):
        read(tmp_path)
    with pytest.raises(IntakeError, match="cannot read predictions"):
        read(tmp_path / "nowhere.jsonl")


def test_a_prediction_names_no_file_outside_its_folder(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(b"")
    (tmp_path / "run").mkdir()
    line = {"key": "k", "id": "1", "settings": {}, "prompt": [{"modality": "image", "file": "../secret.png"}]}
    (tmp_path / "run" / "predictions.jsonl").write_text(json.dumps(line) + "\n")
    (found,) = read(tmp_path / "run")
    with pytest.raises(IntakeError, match="lies outside"):
        found.prompt[0].open(tmp_path / "run")


def test_references_are_not_needed_for_media_in_the_answer(tmp_path: Path) -> None:
    file = InFile("image", tmp_path / "a.png")
    turns = (Turn("user", (Words("Draw."),)), Turn("assistant", (Made("image", "a cat", file),)))
    (question,) = questions(Record("gold-pair", turns, place="x"), "x")
    assert question.references == () and question.wanted == ("image",)
