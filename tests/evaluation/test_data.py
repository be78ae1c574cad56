"""Data sets by what a command line calls them, and features of media."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import numpy as np
import pytest

from mmagent import Constraint, Embedding, Tool
from mmagent.errors import IntakeError
from mmagent.evaluation.data import LAYOUTS, open_data
from mmagent.evaluation.features import matching, media_in, vectors
from mmagent.evaluation.runs import questions
from mmagent.media import Audio, Image, Media, Text
from mmagent.training.data import BadRecord, Jsonl, Source
from mmagent.training.shards import Features


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Two pictures as COCO calls them, with captions and questions about them."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number in (1, 2):
        Image(np.full((4, 4, 3), 100 * number, np.uint8)).save(folder / f"COCO_val2014_{number:012d}.png")
    files = [{"id": number, "file_name": f"COCO_val2014_{number:012d}.png"} for number in (1, 2)]
    said = [
        {"image_id": 1, "caption": "a cat"},
        {"image_id": 2, "caption": "a dog"},
        {"image_id": 1, "caption": "one cat"},
    ]
    (tmp_path / "captions.json").write_text(json.dumps({"images": files, "annotations": said}))
    return folder


def test_all_captions_of_a_picture_are_answers_of_one_record(images: Path, tmp_path: Path) -> None:
    source = open_data(f"coco:{tmp_path / 'captions.json'},{images}")
    found = [question for index in range(len(source)) for question in questions(source[index], "x")]
    assert [item.references for item in found] == [("a cat", "one cat"), ("a dog",)]


def test_a_source_is_written_as_in_a_run_file(images: Path, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text(
        "file,said\nCOCO_val2014_000000000001,a cat\nCOCO_val2014_000000000001,one cat\n"
    )
    spec = {
        "kind": "csv", "path": "table.csv", "folder": "images", "media": {"media": ["image", "{file}.png"]},
        "text": {"caption": "said"}, "template": "caption",
    }  # fmt: skip
    (tmp_path / "table.yaml").write_text(json.dumps(spec))
    (question,) = questions(open_data(f"written:{tmp_path / 'table.yaml'}")[0], "x")
    assert question.references == ("a cat", "one cat")
    made = open_data(f"written:{tmp_path / 'table.yaml'}", "make")
    assert [item.wanted for item in questions(made[0], "x")] == [("image",)] and len(made) == 2


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("kind: jsonl\npath: nowhere.jsonl\n", "nowhere.jsonl"),
        ("kind: photos\n", "describes no source of data"),
        ("a: [", "describes no source of data"),
        (None, "cannot be read"),
    ],
)
def test_a_file_that_describes_no_source_is_told(text: str | None, fault: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "data.yaml").write_text(text)
    with pytest.raises(IntakeError, match=fault):
        open_data(f"written:{tmp_path / 'data.yaml'}")


def test_another_template_asks_for_the_picture(images: Path, tmp_path: Path) -> None:
    source = open_data(f"coco:{tmp_path / 'captions.json'},{images}", "make", seed=1)
    found = [question for index in range(len(source)) for question in questions(source[index], "x")]
    assert [item.wanted for item in found] == [("image",)] * 3


def test_ten_peoples_answers_are_references(images: Path, tmp_path: Path) -> None:
    asked = {"data_subtype": "val2014", "questions": [{"question_id": 7, "image_id": 1, "question": "What?"}]}
    answers = [{"answer": "cat"}] * 6 + [{"answer": "kitten"}] * 4
    told = {"annotations": [{"question_id": 7, "image_id": 1, "multiple_choice_answer": "cat", "answers": answers}]}
    (tmp_path / "q.json").write_text(json.dumps(asked))
    (tmp_path / "a.json").write_text(json.dumps(told))
    (images / "COCO_val2014_000000000001.png").rename(images / "COCO_val2014_000000000001.jpg")
    source = open_data(f"vqa:{tmp_path / 'q.json'},{tmp_path / 'a.json'},{images}")
    (question,) = questions(source[0], "x")
    assert question.references == ("cat",) * 6 + ("kitten",) * 4


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("squares.jsonl", "write LAYOUT:PATH with one of jsonl"),
        ("parquet:x", "write LAYOUT:PATH"),
        ("coco:x", "coco is written coco:ANNOTATIONS,IMAGES; got 'x'"),
        ("jsonl:a,b,c", r"jsonl is written jsonl:FILE\[,MEDIA\]"),
        ("llava:a,", "llava is written"),
    ],
)
def test_data_sets_that_are_none_are_refused_with_what_there_is(name: str, reason: str) -> None:
    with pytest.raises(IntakeError, match=reason):
        open_data(name)


def test_records_have_words_of_their_own(squares: Path) -> None:
    assert len(open_data(f"jsonl:{squares}")) == len(open_data(f"jsonl:{squares},{squares.parent}")) == 6
    with pytest.raises(IntakeError, match="words of their own"):
        open_data(f"jsonl:{squares}", "vqa")


def test_every_layout_says_what_it_needs() -> None:
    for name, layout in LAYOUTS.items():
        assert layout.paths and all(path.isupper() for path in layout.paths), name


class Rows(Tool, name="rows.v1", kind="encoder"):
    """The mean of each row of a picture; the last does not count."""

    def run(self, image: Image) -> Annotated[Embedding, Constraint(space="rows")]:
        rows = image.rgb().mean(axis=1)
        return Embedding(rows, "rows", np.arange(len(rows)) < len(rows) - 1)


def test_a_vector_is_the_mean_of_the_states_that_count(source: Jsonl, tmp_path: Path) -> None:
    picture = Image(np.stack([np.full((4, 3), value, np.uint8) for value in (0, 10, 20, 255)]))
    with Features(Rows, tmp_path, dtype="float32") as features:
        assert vectors(features, [picture]).tolist() == [[10.0] * 3]
        assert vectors(features, [next(source[0].media)]).shape == (1, 3)
    with pytest.raises(IntakeError, match="no media"):
        vectors(len, [])  # type: ignore[arg-type]  # never called


def test_media_of_a_folder_are_those_of_one_modality(squares: Path) -> None:
    assert [item.place for item in media_in(squares.parent, "image")] == [
        str(squares.parent / f"{n}.png") for n in range(6)
    ]
    said = Audio(np.zeros(1600, "float32"), 16_000).save(squares.parent / "said.wav")
    assert [item.place for item in media_in(squares.parent, "speech")] == [str(said)]
    with pytest.raises(IntakeError, match="holds no video"):
        media_in(squares.parent, "video")


def test_media_and_words_find_each_other_in_one_space(source: Source, squares: Path) -> None:
    def by_shade(medium: Media) -> list[float]:
        if isinstance(medium, Text):
            return [1.0, 20 + 40 * float(medium.text.split()[1])]
        return [1.0, float(medium.view("pixels").mean())]

    found = matching(source, by_shade, by_shade)
    assert found["to-words.map"].value == found["to-media.recall@1"].value == 1.0
    squares.write_text(
        '{"kind": "text", "turns": [{"role": "user", "parts": [{"text": "a"}]}, {"role": "assistant", "parts": [{"text": "b"}]}]}\n'
    )
    with pytest.raises(BadRecord, match="no medium"):
        matching(Jsonl(squares), by_shade, by_shade)
