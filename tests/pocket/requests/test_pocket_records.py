"""The world and what is asked of it, in files: records that training reads, and a page for people."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from mmagent.errors import MediaError
from mmagent.pocket.requests.__main__ import main as requests_main
from mmagent.pocket.requests.records import NAMES
from mmagent.pocket.world import files
from mmagent.pocket.world.__main__ import main as world_main
from mmagent.training.data import Jsonl, Made, Record, Shown

pytestmark = pytest.mark.library


def read(path: Path) -> list[Record]:
    source = Jsonl(path)
    return [source[number] for number in range(len(source))]


def shown(record: Record) -> list[Shown]:
    return [part for turn in record.turns for part in turn.parts if isinstance(part, Shown)]


@pytest.mark.parametrize("split", files.SPLITS)
def test_media_of_the_world_are_written_with_their_captions(tmp_path: Path, split: str) -> None:
    done = CliRunner().invoke(world_main, ["write", "--out", str(tmp_path), "--n", "2", "--split", split])
    assert done.exit_code == 0, done.output
    assert done.output.split() == [str(tmp_path / f"{name}.jsonl") for name in files.KINDS]
    for name in files.KINDS:
        records = read(tmp_path / f"{name}.jsonl")
        assert len(records) == 2 and all(record.kind == "gold-pair" for record in records)
        for record in records:
            (one,) = shown(record)
            assert one.media.modality == name and one.media.open().modality == name


def test_the_same_seeds_write_the_same_and_nothing_is_written_over(tmp_path: Path) -> None:
    one, two, other = (
        files.write(tmp_path / folder, "video", 2, seeds) for folder, seeds in (("1", "a"), ("2", "a"), ("3", "b"))
    )
    assert one.read_bytes() == two.read_bytes() != other.read_bytes()
    assert (tmp_path / "1/video/000001.gif").read_bytes() == (tmp_path / "2/video/000001.gif").read_bytes()
    with pytest.raises(MediaError, match="there already"):
        files.write(tmp_path / "1", "video", 2, "a")


def test_requests_of_every_kind_are_records_that_training_reads(tmp_path: Path) -> None:
    done = CliRunner().invoke(requests_main, ["--out", str(tmp_path), "--n", "2"])
    assert done.exit_code == 0, done.output
    for name in NAMES:
        for record in read(tmp_path / f"{name}.jsonl"):
            seen = [one.media.open().modality for one in shown(record)]
            assert len(seen) == (0 if name.startswith("text-") or name == "second-turn" else 1)
            asked = [part.modality for turn in record.turns for part in turn.parts if isinstance(part, Made)]
            if name == "second-turn":
                assert asked == ["image", "image"]
            given, wanted = name.split("-")
            if given == "text" and wanted != "text":
                assert asked == [{"sound": "audio"}.get(wanted, wanted)]
    again = CliRunner().invoke(requests_main, ["--out", str(tmp_path), "--n", "2", "text-text"])
    assert isinstance(again.exception, MediaError)


def test_held_out_requests_are_others(tmp_path: Path) -> None:
    for folder, words in (("a", []), ("b", ["--tested"])):
        done = CliRunner().invoke(requests_main, ["--out", str(tmp_path / folder), "--n", "3", *words, "text-image"])
        assert done.exit_code == 0, done.output
    assert (tmp_path / "a/text-image.jsonl").read_text() != (tmp_path / "b/text-image.jsonl").read_text()


def test_a_page_shows_every_modality_and_every_thing(tmp_path: Path) -> None:
    done = CliRunner().invoke(world_main, ["page", "--out", str(tmp_path / "page.html"), "--n", "1"])
    assert done.exit_code == 0, done.output
    page = (tmp_path / "page.html").read_text("utf-8")
    assert page.count("<li>") == len(files.KINDS) and "wind-chime" in page
    assert "http://" not in page.replace("http://www.w3.org", "") and 'src="data:' in page
