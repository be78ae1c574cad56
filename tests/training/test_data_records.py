"""Records of our own JSONL: typed, their media unread, nothing taken from outside their folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmagent.conversation import MediaSegment, SpanSegment, TextSegment
from mmagent.errors import ConversationError, IntakeError
from mmagent.intake import Limits
from mmagent.media import Image
from mmagent.training.data import BadRecord, Folder, Jsonl, Made, Record, Shown, Turn, Words, checked, schema


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "parts": list(parts)}


def assistant(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "parts": list(parts)}


PICTURE = {"media": "image", "path": "a.png"}
ANSWER = assistant({"text": "A square. "}, {"make": "image", "caption": "another", "path": "b.png"})
LINE = {"kind": "instruction", "turns": [user(PICTURE, {"text": "What is it?"}), ANSWER], "answers": ["square"]}


@pytest.fixture
def folder(tmp_path: Path, picture: Any) -> Path:
    picture("a.png")
    picture("b.png", 9)
    return tmp_path


def source(folder: Path, *lines: object) -> Jsonl:
    path = folder / "records.jsonl"
    path.write_text("".join((item if isinstance(item, str) else json.dumps(item)) + "\n" for item in lines))
    return Jsonl(path)


def reason(folder: Path, line: object) -> str:
    with pytest.raises(BadRecord) as caught:
        source(folder, line)[0]
    assert caught.value.place == f"{folder / 'records.jsonl'}:1"
    return caught.value.reason


def test_a_line_becomes_a_record_whose_conversation_holds_media_and_spans_in_their_places(folder: Path) -> None:
    record = source(folder, LINE)[0]
    assert record.kind == "instruction" and record.answers == ("square",)
    first, second = record.conversation()
    assert [type(item) for item in first.segments] == [MediaSegment, TextSegment]
    words, span = second.segments
    assert words == TextSegment("A square. ")
    assert isinstance(span, SpanSegment) and (span.modality, span.caption) == ("image", "another")
    assert span.made == Image(folder / "b.png") != Image(folder / "a.png")
    assert record.targets == ((False, False), (True, True))


def test_media_are_read_only_when_they_are_asked_for(folder: Path) -> None:
    (folder / "a.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing more")
    record = source(folder, LINE)[0]
    with pytest.raises(BadRecord, match=r"a\.png: "):
        record.conversation()


def test_media_are_read_within_limits(folder: Path) -> None:
    record = source(folder, LINE)[0]
    with pytest.raises(BadRecord, match="24 pixels, the limit is 10"):
        record.conversation(Limits(pixels=10))


def test_targets_may_be_marked_part_by_part(folder: Path) -> None:
    turns = [
        user({"text": "1+1"}),
        assistant({"text": "2", "target": False}),
        user({"text": "2+2"}),
        assistant({"text": "4"}),
    ]
    assert source(folder, {"kind": "text", "turns": turns})[0].targets == ((False,), (False,), (False,), (True,))


def test_a_preference_has_two_ways_to_go_on(folder: Path) -> None:
    line = {
        "kind": "preference",
        "turns": [user(PICTURE)],
        "chosen": [ANSWER],
        "rejected": [assistant({"text": "No."})],
    }
    record = source(folder, line)[0]
    assert record.chosen[0].targets == (True, True) and record.rejected[0].parts == (Words("No.", True),)
    assert [item.place for item in record.media] == [str(folder / "a.png"), str(folder / "b.png")]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "the line: Invalid JSON"),
        ({**LINE, "colour": "red"}, "colour: Extra inputs are not permitted"),
        ({**LINE, "kind": "poem"}, "kind: Input should be 'gold-pair'"),
        ({**LINE, "turns": [user({"text": "a", "path": "a.png"})]}, "path: Extra inputs"),
        ({**LINE, "turns": [user({"words": "a"})]}, "a part holds one of the keys text, media and make"),
        ({**LINE, "turns": [user({"text": 3})]}, "text: Input should be a valid string"),
        ({**LINE, "turns": [user({"text": "a"})]}, "nothing in the record is a target"),
        ({**LINE, "turns": [user({"text": "a", "target": True}), ANSWER]}, "holds a target or a span"),
        ({**LINE, "turns": [user({"make": "image", "caption": "a"}), ANSWER]}, "holds a target or a span"),
        ({**LINE, "turns": [{"role": "boss", "parts": []}]}, "role: Input should be"),
        ({**LINE, "turns": [user(), ANSWER]}, "a user turn is empty"),
        ({**LINE, "turns": [user({"media": "smell", "path": "a.png"}), ANSWER]}, "'smell' is no modality"),
        ({**LINE, "turns": [user(PICTURE), assistant({"make": "smell", "caption": "a"})]}, "'smell' is no modality"),
        ({**LINE, "turns": [user(PICTURE), assistant({"make": "image", "caption": " "})]}, "has no caption"),
        ({**LINE, "turns": [user({"media": "image", "path": "c.png"}), ANSWER]}, "there is no media file"),
        ({**LINE, "kind": "text"}, "a record of kind text holds 2 media"),
        ({**LINE, "kind": "gold-pair"}, "a gold pair holds one medium, not 2"),
        ({"kind": "interleaved", "turns": [assistant({"text": "a"})]}, "holds no media; call it text"),
        ({**LINE, "chosen": [ANSWER]}, "has no chosen or rejected turns"),
        ({**LINE, "kind": "preference"}, "a preference needs turns, and chosen and rejected"),
    ],
)
def test_a_bad_line_is_told_with_its_place_and_reason(folder: Path, line: object, said: str) -> None:
    assert said in reason(folder, line)


@pytest.mark.parametrize(
    "path", ["../out.png", "/etc/hostname", "x/../../out.png", "sub/../a.png", "away.png", "", "sub", "a\\b.png", "\0"]
)
def test_nothing_outside_the_folder_is_read(tmp_path: Path, picture: Any, path: str) -> None:
    picture("out.png")
    picture("in/a.png")
    (tmp_path / "in" / "sub").mkdir()
    (tmp_path / "in" / "away.png").symlink_to(tmp_path / "out.png")
    with pytest.raises(IntakeError):
        Folder(tmp_path / "in").file(path, "image")
    assert Folder(tmp_path / "in").file("a.png").open() == Image(tmp_path / "in" / "a.png")


def test_blank_lines_are_no_records_and_line_numbers_are_those_of_the_file(folder: Path) -> None:
    found = source(folder, "", LINE, "  ", "[]")
    assert len(found) == 2 and found[0].place.endswith(":2")
    assert [line.split(": ")[0] for line in checked(found)] == [f"{folder / 'records.jsonl'}:4"]


def test_a_reason_repeats_nothing_of_what_a_record_holds(folder: Path) -> None:
    assert "secret" not in reason(folder, {**LINE, "kind": "secret" * 50})


@given(text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_words_come_back_as_they_were_written(text: str) -> None:
    line = json.dumps({"kind": "text", "turns": [user({"text": text}), assistant({"text": "x"})]})
    record = schema.parse(line, "here", lambda path, modality: pytest.fail("there are no media"))
    assert record.conversation().messages[0].text == text


def test_a_record_made_in_python_is_checked_too() -> None:
    with pytest.raises(ConversationError, match="empty"):
        Turn("assistant", (Words(" ", target=True),))
    with pytest.raises(ConversationError, match="kind 'song' is unknown"):
        Record("song", (Turn("assistant", (Words("a", True),)),))  # type: ignore[arg-type]  # a mistake
    assert Record("text", (Turn("assistant", (Made("image", "a"),)),)).targets == ((True,),)


def test_shown_media_are_never_targets(folder: Path) -> None:
    assert not Shown(Folder(folder).file("a.png")).target


def test_the_mark_of_a_file_changes_with_it(folder: Path, picture: Any) -> None:
    before = Folder(folder).file("a.png").mark()
    assert Folder(folder).file("a.png").mark() == before != Folder(folder).file("b.png").mark()
    (folder / "a.png").write_bytes(b"longer or shorter")
    assert Folder(folder).file("a.png").mark() != before
