"""Readers of public layouts, each on a small real folder of that layout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mmagent.errors import IntakeError
from mmagent.media import Audio, Image, Video
from mmagent.training.data import (
    BadRecord,
    CocoCaptions,
    Llava,
    Record,
    Shown,
    Table,
    VqaV2,
    Worded,
    Words,
    audiocaps,
    webvid,
)


def put(path: Path, value: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value, indent=1), encoding="utf-8")
    return path


# -- LLaVA


def said(*turns: str) -> list[dict[str, str]]:
    return [{"from": "gpt" if number % 2 else "human", "value": value} for number, value in enumerate(turns)]


@pytest.fixture
def llava(tmp_path: Path, picture: Any) -> Any:
    picture("images/a.png")
    picture("images/b.png", 7)

    def read(*entries: object, **options: Any) -> Llava:
        return Llava(put(tmp_path / "llava.json", list(entries)), tmp_path / "images", **options)

    return read


def words_of(record: Record) -> list[str]:
    return [part.text if isinstance(part, Words) else "#" for turn in record.turns for part in turn.parts]


def test_llava_binds_the_picture_at_its_placeholder(llava: Any, tmp_path: Path) -> None:
    found = llava(
        {"id": "1", "image": "a.png", "conversations": said("<image>\nWhat?", "A square.", "Sure?", "Yes.")},
        {"id": "2", "conversations": said("What is 1+1?", "2")},
    )
    assert len(found) == 2 and found.name == "llava"
    record = found[0]
    assert words_of(record) == ["#", "\nWhat?", "A square.", "Sure?", "Yes."]
    assert record.targets == ((False, False), (True,), (False,), (True,))
    assert record.conversation().media == (Image(tmp_path / "images" / "a.png"),)
    assert words_of(found[1]) == ["What is 1+1?", "2"]


def test_llava_binds_several_pictures_in_order(llava: Any) -> None:
    entry = {"image": ["b.png", "a.png"], "conversations": said("<image>\n<image>\nWhich?", "Both.")}
    record = llava(entry)[0]
    assert [Path(item.place).name for item in record.media] == ["b.png", "a.png"]
    assert words_of(record) == ["#", "\n", "#", "\nWhich?", "Both."]


@pytest.mark.parametrize(
    "turns",
    [
        said("What does the tag <image> do in HTML?", "It is none."),
        said("<image>\nWhat does <image> do?", "Nothing."),
        said("What?", "A square."),
        said("<image>\n<image>\nWhat?", "A square."),
        said("What?", "<image>\nA square."),
    ],
)
def test_llava_never_guesses_which_words_are_a_placeholder(llava: Any, turns: object) -> None:
    with pytest.raises(BadRecord, match=r"llava\.json:\d+: 1 files of image and \d times <image>"):
        llava({"image": "a.png", "conversations": turns})[0]


def test_llava_reads_a_placeholder_without_a_picture_as_a_mistake(llava: Any) -> None:
    with pytest.raises(BadRecord, match="0 files of image and 1 times <image>"):
        llava({"conversations": said("<image>\nWhat?", "A square.")})[0]


def test_llava_leaves_the_models_own_words_alone(llava: Any) -> None:
    record = llava({"image": "a.png", "conversations": said("<image>\nTag?", "You wrote <image>, <video>.")})[0]
    assert record.turns[1].parts == (Words("You wrote <image>, <video>.", True),)


def test_llava_takes_placeholders_inside_sentences_where_it_is_told_to(llava: Any) -> None:
    entry = {"image": ["a.png", "b.png"], "conversations": said("Left <image>, right <image>: which?", "Left.")}
    with pytest.raises(BadRecord, match="of which 0 are lines of their own"):
        llava(entry)[0]
    assert words_of(llava(entry, inline=True)[0]) == ["Left ", "#", ", right ", "#", ": which?", "Left."]


def test_llava_reads_films_and_sounds_by_their_own_placeholders(tmp_path: Path, film: Any, sound: Any) -> None:
    film("m/a.mp4")
    sound("m/a.wav")
    entry = {"video": "a.mp4", "audio": "a.wav", "conversations": said("<audio>\n<video>\nWhat?", "A film.")}
    record = Llava(put(tmp_path / "v.json", [entry]), tmp_path / "m")[0]
    assert [type(item) for item in record.conversation().media] == [Audio, Video]


def test_llava_tells_the_line_of_a_bad_entry(llava: Any) -> None:
    good = {"image": "a.png", "conversations": said("<image>\nWhat?", "A square.")}
    found = llava(good, {"image": "a.png"}, {**good, "image": "c.png"}, {**good, "image": "../llava.json"}, [], good)
    text = found._elements.path.read_text().splitlines()
    reasons = []
    for index, begins in ((1, "{"), (2, "{"), (3, "{"), (4, "[")):
        with pytest.raises(BadRecord) as caught:
            found[index]
        reasons.append(caught.value.reason)
        assert text[int(caught.value.place.rsplit(":", 1)[1]) - 1].strip().startswith(begins)
    assert reasons[0] == "conversations: Field required" and "no media file" in reasons[1]
    assert "lies outside" in reasons[2] and "object" in reasons[3]
    assert found[5].turns == found[0].turns


@pytest.mark.parametrize("text", ["", "{}", "[1, 2", "[1,", "[1 2]", "nothing", "[" * 100_000, "[{]"])
def test_a_file_that_is_no_json_array_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(IntakeError, match=r"a\.json"):
        Llava(put(tmp_path / "a.json", text), tmp_path)


# -- COCO and VQAv2


def test_coco_gives_a_fact_for_each_caption(tmp_path: Path, picture: Any) -> None:
    picture("train2017/000000000009.png")
    data = {
        "images": [{"id": 9, "file_name": "000000000009.png"}, {"id": 8, "file_name": "gone.png"}],
        "annotations": [
            {"image_id": 9, "id": 1, "caption": "A square. "},
            {"image_id": 9, "id": 2, "caption": "Something grey."},
            {"image_id": 8, "id": 3, "caption": "It was deleted."},
            {"image_id": 7, "id": 4, "caption": "It is not listed."},
            {"image_id": 9, "id": 5, "caption": None},
        ],
    }
    facts = CocoCaptions(put(tmp_path / "annotations" / "captions_train2017.json", data), tmp_path / "train2017")
    source = Worded(facts, "pair")
    assert len(source) == 5 and source.name == "captions_train2017"
    assert source[0].kind == "gold-pair" and words_of(source[0]) == ["#", "A square."]
    assert words_of(source[1]) == ["#", "Something grey."] and list(source[1].media) == list(source[0].media)
    for index, reason in ((2, "no media file"), (3, "image 7 is not listed"), (4, "no caption in words")):
        with pytest.raises(BadRecord, match=rf"annotation {index}: .*{reason}"):
            source[index]
    with pytest.raises(IntakeError, match="no file of COCO captions"):
        CocoCaptions(put(tmp_path / "other.json", {}), tmp_path)


def test_vqa_joins_questions_with_their_answers(tmp_path: Path, picture: Any) -> None:
    picture("val2014/COCO_val2014_000000000042.png")
    asked = {
        "data_subtype": "val2014",
        "questions": [
            {"image_id": 42, "question": "What colour?", "question_id": 420},
            {"image_id": 42, "question": "Why?", "question_id": 421},
            {"image_id": 42, "question": "Who?", "question_id": 422},
        ],
    }
    answers = [{"answer": "grey", "answer_id": 1}, {"answer": "dark grey", "answer_id": 2}]
    answered = {
        "annotations": [
            {"question_id": 420, "image_id": 42, "multiple_choice_answer": "grey", "answers": answers},
            {"question_id": 422, "image_id": 41, "multiple_choice_answer": "nobody"},
        ]
    }
    files = put(tmp_path / "q.json", asked), put(tmp_path / "a.json", answered)
    facts = VqaV2(*files, tmp_path / "val2014", image="COCO_val2014_{:012d}.png")
    record = Worded(facts, "vqa")[0]
    assert record.answers == ("grey", "dark grey") and record.turns[1].parts == (Words("grey", True),)
    assert isinstance(record.turns[0].parts[-1], Words | Shown) and len(list(record.media)) == 1
    with pytest.raises(BadRecord, match="question 1: the question or its annotation lacks 421"):
        facts[1]
    with pytest.raises(BadRecord, match="question 2: it is about image 42, its annotation about 41"):
        facts[2]
    with pytest.raises(BadRecord, match=r"COCO_val2014_000000000042\.jpg"):  # what such pictures are called
        VqaV2(*files, tmp_path / "val2014")[0]


# -- AudioCaps, WebVid


def test_audiocaps_joins_rows_with_sounds(tmp_path: Path, sound: Any) -> None:
    sound("waves/-abc_30.wav")
    sound("waves/def_0.wav")
    rows = 'audiocap_id,youtube_id,start_time,caption\n1,-abc,30,"A tone, then\nnothing"\n\n2,def,0,A tone\n3,gone,1,A tone\n'
    facts = audiocaps(put(tmp_path / "train.csv", rows), tmp_path / "waves")
    source = Worded(facts, "pair")
    assert len(source) == 3 and words_of(source[0]) == ["#", "A tone, then\nnothing"]
    assert isinstance(source[0].conversation().media[0], Audio)
    assert source[1].place == f"{tmp_path / 'train.csv'}:5"
    with pytest.raises(BadRecord, match=r"train\.csv:6: there is no media file"):
        source[2]


def test_webvid_joins_rows_with_films(tmp_path: Path, film: Any) -> None:
    film("videos/0001/12.mp4")
    rows = (
        "videoid,contentUrl,duration,page_dir,name\r\n"
        "12,https://example.org/12.mp4,PT00H00M01S,0001,Grey for a while\r\n"
        "13,https://example.org/13.mp4,PT00H00M01S,../..,Somewhere else\r\n"
        "14,short\r\n"
    )
    source = Worded(webvid(put(tmp_path / "results.csv", rows), tmp_path / "videos"), "make")
    assert isinstance(source[0].conversation().media[0], Video)
    with pytest.raises(BadRecord, match=r"results\.csv:3: .*lies outside"):
        source[1]
    with pytest.raises(BadRecord, match=r"results\.csv:4: the row has 2 fields, the header 5"):
        source[2]


def test_a_table_reads_no_more_than_the_row_that_is_asked_for(tmp_path: Path, picture: Any) -> None:
    picture("a.png")
    body = "".join(f'a,"line {number}\u2028\x85 of\r\n{number}"\r\n' for number in range(50))
    path = put(tmp_path / "t.csv", "\ufefffile,words\r\n" + body)
    table = Table(path, tmp_path, media={"media": ("image", "{file}.png")}, text={"caption": "words"})
    for number in (49, 0, 17):
        assert table[number].values["caption"] == f"line {number}\u2028\x85 of\r\n{number}"


def test_a_table_that_is_none_is_refused_when_it_is_opened(tmp_path: Path) -> None:
    with pytest.raises(IntakeError, match="has no column 'page_dir'; it has a, b"):
        webvid(put(tmp_path / "t.csv", "a,b\n1,2\n"), tmp_path)
    with pytest.raises(IntakeError, match="has no header"):
        webvid(put(tmp_path / "t.csv", ""), tmp_path)
    with pytest.raises(IntakeError, match="is no folder of media"):
        webvid(put(tmp_path / "t.csv", "videoid,page_dir,name\n"), tmp_path / "nowhere")


def test_a_row_that_is_not_utf8_or_never_ends_is_bad(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b'videoid,page_dir,name\n1,a,caf\xe9\n2,a,"it never ends\n3,a,lost\n')
    facts = webvid(path, tmp_path)
    assert len(facts) == 2
    for index in range(2):
        with pytest.raises(BadRecord, match=rf"t\.csv:{index + 2}: no row of a CSV file in UTF-8"):
            facts[index]
