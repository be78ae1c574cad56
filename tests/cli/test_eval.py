"""`mmagent eval`: from data sets to predictions, tables and plots, and from two runs to votes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result

from mmagent.cli.exits import INTAKE, OK, USAGE
from mmagent.conversation import Signal
from mmagent.evaluation.prediction import read
from mmagent.evaluation.report import Report
from mmagent.media import Image
from mmagent.model import ScriptedReasoner

Command = Callable[..., Result]

HEAD = """
from typing import Annotated

import numpy as np

from mmagent import Constraint, Embedding, Image, Text, Tool, tool

"""
PAINT = """
@tool
def paint(text: Text) -> Image:
    '''Paint a caption as a square of one colour.'''
    return Image(np.broadcast_to(np.frombuffer(bytes.fromhex(text.digest[:6]), dtype="uint8"), (4, 4, 3)))
"""
COLOUR = """
class Colour(Tool, name="NAME.v1", kind="encoder"):
    '''The mean colour of a picture.'''

    def run(self, image: Image) -> Annotated[Embedding, Constraint(space="colour")]:
        return Embedding(image.rgb().mean(axis=(0, 1))[None] - 128, "colour")
"""
SAID = """
class Said(Tool, name="NAME.v1", kind="encoder"):
    '''The colour that words name.'''

    def run(self, text: Text) -> Annotated[Embedding, Constraint(space="colour")]:
        named = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}
        return Embedding(np.array([named[text.text.split()[1]]], "float32") - 128, "colour")
"""
LENGTH = """
class Length(Tool, name="NAME.v1", kind="encoder"):
    '''How long words are, thrice.'''

    def run(self, text: Text) -> Annotated[Embedding, Constraint(space="length")]:
        return Embedding(np.full((1, 3), len(text.text)), "length")
"""


def add(shelf: Path, **tools: str) -> None:
    """Put tools on the shelf, as old as if they had always been there: what is newer than the process has no digest."""
    for name, code in tools.items():
        path = shelf / "tools" / f"{name}.py"
        path.write_text(HEAD + code.replace("NAME", name))
        os.utime(path, (0, 0))


COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """Three records about pictures of one colour each."""
    folder = tmp_path / "colours"
    folder.mkdir()
    lines = []
    for name, colour in COLOURS.items():
        Image(np.broadcast_to(np.array(colour, np.uint8), (4, 4, 3))).save(folder / f"{name}.png")
        asked = [{"media": "image", "path": f"{name}.png"}, {"text": "What is it?"}]
        said = {"role": "assistant", "parts": [{"text": f"a {name} square"}]}
        lines.append({"kind": "instruction", "turns": [{"role": "user", "parts": asked}, said]})
    path = folder / "colours.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture
def models(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, ScriptedReasoner]:
    """Models `red` and `blue`, which call every picture so; a tool that paints is on the shelf."""
    add(shelf, paint=PAINT)
    found = {
        name: ScriptedReasoner([f"a {name} square", Signal("image", name)], sees=["image"], name=name)
        for name in ("red", "blue")
    }
    monkeypatch.setattr("mmagent.model.load_model", found.__getitem__)
    return found


def test_a_run_gives_predictions_a_report_and_plots(
    mm: Command, models: dict[str, ScriptedReasoner], records: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    result = mm(
        "eval", "run", "--data", f"jsonl:{records}", "--agent", "red", "--metrics", "exact-match,routing", "--out", out
    )
    assert result.exit_code == OK, result.stderr
    name, n, failed, exact, *_ = result.stdout.rstrip("\n").split("\t")
    assert (name, n, failed) == ("red", "3", "0") and exact.startswith("0.333 [")
    assert "red · colours (3 records)" in result.stderr and str(out / "scores.png") in result.stderr
    assert (out / "scores.png").is_file()
    report = Report.load(out / "report.json")
    assert report.results[0].scores["routing.unasked"].value == 1.0
    assert [item.made for item in read(out)] == [("image",)] * 3


def test_what_is_forbidden_is_not_made_and_json_is_all_that_is_on_stdout(
    mm: Command, models: dict[str, ScriptedReasoner], records: Path, tmp_path: Path
) -> None:
    words = [
        "--agent",
        "red",
        "--agent",
        "blue",
        "--shots",
        0,
        "--shots",
        2,
        "--perturb",
        "noise=0.1",
        "--perturb",
        "blind",
    ]
    result = mm("eval", "run", "--data", f"jsonl:{records}", *words, "--metrics", "f1", "--metrics", "routing", "--forbid", "image",
                "--limit", 2, "--no-plots", "--no-inputs", "--json", "--out", tmp_path / "out")  # fmt: skip
    found = json.loads(result.stdout)
    assert result.stderr == "" and len(found["results"]) == 2 * 2 * 3
    assert {item["n"] for item in found["results"]} == {2}
    assert {item["scores"]["routing.unasked"]["value"] for item in found["results"]} == {0.0}
    assert {len(heard) for heard in models["red"].heard} == {1, 5}
    assert list((tmp_path / "out" / "media").iterdir()) == [] and not (tmp_path / "out" / "scores.png").exists()


def test_a_run_goes_on_only_when_told_to(
    mm: Command, models: dict[str, ScriptedReasoner], records: Path, tmp_path: Path
) -> None:
    words = (
        "eval",
        "run",
        "--data",
        f"jsonl:{records}",
        "--agent",
        "red",
        "--metrics",
        "f1",
        "--out",
        tmp_path,
        "--no-plots",
    )
    first = mm(*words)
    refused = mm(*words)
    assert refused.exit_code == USAGE and "--resume" in refused.stderr
    asked = len(models["red"].heard)
    again = mm(*words, "--resume")
    assert again.stdout == first.stdout and len(models["red"].heard) == asked
    mm(*words, "--resume", "--seed", 1)
    assert len(models["red"].heard) == 2 * asked


def test_bad_records_stop_the_run_or_are_told(
    mm: Command, models: dict[str, ScriptedReasoner], records: Path, tmp_path: Path
) -> None:
    (records.parent / "red.png").write_bytes(b"no picture")
    words = ("eval", "run", "--data", f"jsonl:{records}", "--agent", "red", "--metrics", "f1", "--no-plots")
    assert mm(*words, "--out", tmp_path / "a").exit_code == INTAKE
    result = mm(*words, "--out", tmp_path / "b", "--skip-bad")
    assert result.exit_code == OK and "1 records could not be used" in result.stderr
    assert "red.png" in (tmp_path / "b" / "bad.jsonl").read_text()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--data", "jsonl:x.jsonl", "--metrics", "beauty"], "no metric is called 'beauty'"),
        (["--data", "jsonl:x.jsonl", "--metrics", "f1", "--perturb", "fog"], "no perturbation is called 'fog'"),
        (["--data", "colours", "--metrics", "f1"], "write LAYOUT:PATH"),
        (["--data", "vqa:q.json", "--metrics", "f1"], "vqa is written vqa:QUESTIONS,ANNOTATIONS,IMAGES"),
        (["--data", "jsonl:nowhere.jsonl", "--metrics", "f1"], "nowhere.jsonl"),
    ],
)
def test_what_is_wrong_with_the_words_is_told_before_anything_is_asked(
    mm: Command, words: list[str], reason: str, tmp_path: Path
) -> None:
    result = mm("eval", "run", *words, "--out", tmp_path / "out")
    assert result.exit_code in (USAGE, INTAKE) and reason in " ".join(result.stderr.split())
    assert not (tmp_path / "out").exists()


def test_predictions_are_scored_again_without_a_model(
    mm: Command, models: dict[str, ScriptedReasoner], records: Path, tmp_path: Path
) -> None:
    for name in ("red", "blue"):
        mm(
            "eval",
            "run",
            "--data",
            f"jsonl:{records}",
            "--agent",
            name,
            "--metrics",
            "f1",
            "--out",
            tmp_path / name,
            "--no-plots",
        )
    result = mm(
        "eval",
        "score",
        tmp_path / "red",
        tmp_path / "blue" / "predictions.jsonl",
        "--metrics",
        "wer,cider",
        "--out",
        tmp_path / "s",
    )
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    assert [row[0] for row in rows] == ["red", "blue"] and rows[0][1] == str(tmp_path / "red")
    assert rows[0][4].startswith("0.222")
    assert (tmp_path / "s" / "report.json").is_file() and (tmp_path / "s" / "scores.png").is_file()


def test_two_runs_become_a_page_whose_votes_are_unblinded(
    mm: Command, models: dict[str, ScriptedReasoner], records: Path, tmp_path: Path
) -> None:
    for name in ("red", "blue"):
        mm(
            "eval",
            "run",
            "--data",
            f"jsonl:{records}",
            "--agent",
            name,
            "--metrics",
            "f1",
            "--out",
            tmp_path / name,
            "--no-plots",
        )
    result = mm(
        "eval", "pairwise", tmp_path / "red", tmp_path / "blue" / "predictions.jsonl", "--out", tmp_path / "pairs"
    )
    page = Path(result.stdout.strip())
    assert page.parent.name == "page" and str(tmp_path) not in page.read_text()
    key = json.loads((tmp_path / "pairs" / "key.json").read_text())
    choices = {number: "left" if placed["left"] == 0 else "right" for number, placed in key["pairs"].items()}
    (tmp_path / "votes.json").write_text(json.dumps({"page": key["page"], "rater": "me", "votes": choices}))
    result = mm("eval", "votes", tmp_path / "votes.json", "--key", tmp_path / "pairs" / "key.json")
    assert result.stdout.splitlines()[0].startswith(f"{tmp_path / 'red'}\t3\t1.000 [")
    assert "0 ties, 3 pairs, 1 raters; p = 0.25" in result.stderr
    found = json.loads(
        mm("eval", "votes", tmp_path / "votes.json", "--key", tmp_path / "pairs" / "key.json", "--json").stdout
    )
    assert found["counts"] == [3, 0] and found["agreement"] is None
    refused = mm("eval", "votes", tmp_path / "pairs" / "key.json", "--key", tmp_path / "pairs" / "key.json")
    assert refused.exit_code == INTAKE and "holds no votes" in refused.stderr


def test_the_distance_of_folders_and_of_what_runs_made(
    mm: Command, shelf: Path, models: dict[str, ScriptedReasoner], records: Path, tmp_path: Path
) -> None:
    add(shelf, colour=COLOUR)
    same = mm("eval", "distance", records.parent, records.parent, "--encoder", "colour", "--json")
    assert same.exit_code == OK, same.stderr
    found = json.loads(same.stdout)
    assert found["value"] == pytest.approx(0, abs=1e-6) and found["n"] == [3, 3] and found["width"] == 3
    mm(
        "eval",
        "run",
        "--data",
        f"jsonl:{records}",
        "--agent",
        "red",
        "--metrics",
        "f1",
        "--out",
        tmp_path / "red",
        "--no-plots",
    )
    made = mm("eval", "distance", tmp_path / "red", records.parent, "--encoder", "colour")
    assert float(made.stdout.split("\t")[0]) > 1000 and made.stdout.split("\t")[1] == "3 and 3"
    assert made.stderr.count("warning: 3 media") == 2
    nothing = mm("eval", "distance", records.parent, records.parent, "--encoder", "colour", "--modality", "audio")
    assert nothing.exit_code == INTAKE and "holds no audio" in nothing.stderr


def test_retrieval_in_one_space_and_in_two(mm: Command, shelf: Path, records: Path, tmp_path: Path) -> None:
    add(shelf, hue=COLOUR, said=SAID, length=LENGTH)
    words = ("eval", "retrieval", "--data", f"jsonl:{records}", "--encoder", "hue", "--features", tmp_path / "kept")
    result = mm(*words, "--words", "said", "--json")
    assert result.exit_code == OK, result.stderr
    found = json.loads(result.stdout)
    assert {name: score["value"] for name, score in found.items()} == dict.fromkeys(
        ("to-words.recall@1", "to-words.map", "to-media.recall@1", "to-media.map"), 1.0
    )
    assert any((tmp_path / "kept").iterdir())
    assert mm(*words, "--words", "said").stdout.startswith("to-words.recall@1\t1.000 [")
    refused = mm(*words, "--words", "length")
    assert refused.exit_code == INTAKE and "colour and words into length" in refused.stderr
