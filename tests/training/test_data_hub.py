"""Data sets of the Hugging Face library, loaded or saved to a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mmagent.errors import IntakeError
from mmagent.media import Audio, Image
from mmagent.training.data import BadRecord, HubDataset, Shown, Worded, Words

datasets = pytest.importorskip("datasets", reason="the extra `train` is not installed")


@pytest.fixture(autouse=True)
def quiet(tmp_path: Path) -> Any:
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


@pytest.fixture
def pictures(picture: Any) -> Any:
    files = [picture(f"hf/{number}.png", number * 9) for number in range(3)]
    features = datasets.Features({"image": datasets.Image(), "text": datasets.Value("string")})
    rows = {"image": [{"bytes": file.read_bytes(), "path": None} for file in files], "text": ["a", "b", None]}
    return datasets.Dataset.from_dict(rows, features=features)


def test_columns_become_facts_whose_pictures_are_unread(pictures: Any, tmp_path: Path) -> None:
    source = Worded(HubDataset(pictures, {"media": "image", "caption": "text"}, name="hf"), "pair")
    assert len(source) == 3 and source.name == "hf"
    record = source[1]
    assert isinstance(record.turns[0].parts[0], Shown) and record.turns[1].parts == (Words("b", True),)
    assert record.conversation().media == (Image(tmp_path / "hf" / "1.png"),)
    with pytest.raises(BadRecord, match="hf: row 2: column text holds NoneType, not words"):
        source[2]


def test_a_folder_that_was_saved_is_read(pictures: Any, tmp_path: Path) -> None:
    pictures.save_to_disk(tmp_path / "saved")
    source = HubDataset(tmp_path / "saved", {"media": "image", "caption": "text"})
    assert source.name == "saved" and source[0].values["caption"] == "a"
    first, other = (source[index].values["media"] for index in (0, 1))
    again = HubDataset(tmp_path / "saved", {"media": "image"})[0].values["media"]
    assert first.mark() == again.mark() != other.mark()  # type: ignore[union-attr]  # they are References


def test_sounds_need_no_decoder_of_the_librarys(tmp_path: Path, sound: Any) -> None:
    data = sound("a.wav").read_bytes()
    found = datasets.Dataset.from_dict({"audio": [{"bytes": data, "path": None}], "said": ["la"]})
    found = found.cast_column("audio", datasets.Audio())
    record = Worded(HubDataset(found, {"media": "audio", "caption": "said"}), "caption")[0]
    assert record.conversation().media == (Audio(tmp_path / "a.wav"),)


def test_paths_are_followed_only_into_the_folder_that_is_named(tmp_path: Path, picture: Any) -> None:
    inside, outside = picture("in/a.png"), picture("out.png")
    features = datasets.Features({"image": datasets.Image(), "text": datasets.Value("string")})
    rows = {"image": [{"bytes": None, "path": str(path)} for path in (inside, outside)], "text": ["a", "b"]}
    found = datasets.Dataset.from_dict(rows, features=features)
    columns = {"media": "image", "caption": "text"}
    with pytest.raises(BadRecord, match="name the folder of its files with media="):
        Worded(HubDataset(found, columns), "pair")[0].conversation()
    source = Worded(HubDataset(found, columns, media=tmp_path / "in"), "pair")
    assert source[0].conversation().media == (Image(inside),)
    with pytest.raises(BadRecord, match="lies outside"):
        source[1].conversation()


def test_lists_of_rounds_become_a_dialogue(pictures: Any) -> None:
    rounds = [[{"question": "What?", "answer": "A."}, {"question": "Why?", "answer": "B."}]] * 3
    found = pictures.add_column("rounds", rounds)
    record = Worded(HubDataset(found, {"media": "image", "rounds": "rounds"}), "dialogue")[0]
    assert record.turns[-1].parts == (Words("B.", True),)


def test_what_is_no_split_is_refused(pictures: Any, tmp_path: Path) -> None:
    columns = {"media": "image"}
    with pytest.raises(IntakeError, match="not DatasetDict; choose a split"):
        HubDataset(datasets.DatasetDict({"train": pictures}), columns)
    with pytest.raises(IntakeError, match="save_to_disk"):
        HubDataset(pictures.to_iterable_dataset(), columns)
    with pytest.raises(IntakeError, match="no column 'picture'; it has image, text"):
        HubDataset(pictures, {"media": "picture"})
    with pytest.raises(IntakeError, match="is no folder"):
        HubDataset(tmp_path / "nothing", columns)
    (tmp_path / "empty").mkdir()
    with pytest.raises(IntakeError, match="is no saved data set"):
        HubDataset(tmp_path / "empty", columns)
