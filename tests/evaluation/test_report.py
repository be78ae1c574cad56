"""Tables of systems, data and conditions; the report of them; plots."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from mmagent.errors import IntakeError
from mmagent.evaluation.prediction import Part, Prediction, read
from mmagent.evaluation.report import Report
from mmagent.evaluation.runs import Answerer, Asked, Condition, conditions, run, transfer
from mmagent.evaluation.scoring import NAMES, score
from mmagent.media import Image
from mmagent.training.data import Jsonl, Source


def eye(bias: int = 0) -> Callable[[], Answerer]:
    """Tells the shade of what it is shown by its brightness, which noise and blur change, plus an error."""

    def answer(asked: Asked) -> str:
        (image,) = (part for part in asked.parts if isinstance(part, Image))
        return f"shade {round((float(image.array.mean()) - 20) / 40) + bias}"

    return lambda: answer


def said(id: str, answer: str, *references: str, **settings: str) -> Prediction:
    parts = (Part(modality="text", text=answer),)
    return Prediction(
        key=f"{id}{answer}{settings}", id=id, settings=dict(settings), prompt=(), references=references, parts=parts
    )


def test_conditions_are_shots_by_perturbations() -> None:
    found = conditions([0, 2], ["blur=0.1", "exchanged"])
    assert [str(item) for item in found] == [
        "",
        "blur 0.1",
        "exchanged",
        "2 shots",
        "2 shots, blur 0.1",
        "2 shots, exchanged",
    ]
    assert [item.strength for item in conditions(perturb=["typos"])] == [0, 0.1, 0.25, 0.5, 1.0]


@pytest.mark.parametrize("wrong", ["blur=hard", "blur=0", "blur=nan", "blur=-1", "fog", "fog=1"])
def test_conditions_that_are_none_are_refused(wrong: str) -> None:
    with pytest.raises(IntakeError):
        conditions(perturb=[wrong])


def test_systems_by_data_by_conditions(source: Jsonl, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    found = run(
        {"good": eye(), "bad": eye(1)},
        {"squares": source},
        tmp_path,
        conditions=[Condition(), Condition(change="exchanged"), Condition(shots=1)],
        limit=4,
        progress=lambda *item: told.append(item),
    )
    assert len(found) == 2 * 3 * 4 and found == read(tmp_path)
    assert told[-1] == ("bad · squares · 1 shots", 4, 4)
    report = Report.of(found, ["exact-match"])
    values = [
        (item.settings["system"], str(item.settings["change"]), item.scores["exact-match"].value)
        for item in report.results
    ]
    assert values == [
        ("good", "", 1.0),
        ("good", "exchanged", 0.0),
        ("good", "", 1.0),
        ("bad", "", 0.0),
        ("bad", "exchanged", values[4][2]),
        ("bad", "", 0.0),
    ]
    head, rows = report.rows()
    assert head == ["system", "shots", "change", "n", "failed", "exact-match"]
    assert rows[1][:5] == ["good", "0", "exchanged", "4", "0"]


def test_a_system_is_made_when_its_turn_comes(source: Jsonl, tmp_path: Path) -> None:
    events = []

    def make(name: str) -> Callable[[], Answerer]:
        def made() -> Answerer:
            events.append(f"made {name}")
            return lambda asked: events.append(name) or "x"  # type: ignore[func-returns-value]

        return made

    run({"a": make("a"), "b": make("b")}, {"squares": source}, tmp_path, limit=1)
    assert events == ["made a", "a", "made b", "b"]


def test_transfer_is_a_table_of_trained_on_by_scored_on(source: Jsonl, squares: Path, tmp_path: Path) -> None:
    dark = tmp_path / "dark"
    dark.mkdir()
    for number in range(6):
        Image(np.full((8, 8, 3), 20 + 4 * number, np.uint8)).save(dark / f"{number}.png")
    (dark / "dark.jsonl").write_text(squares.read_text())

    def train(data: Source) -> Answerer:
        """Fits a line through brightness and shade by least squares."""
        x = [float(next(data[index].media).open().view("pixels").mean()) for index in range(len(data))]
        y = [int(data[index].turns[1].parts[0].text.split()[1]) for index in range(len(data))]  # type: ignore[union-attr]
        slope, start = np.polyfit(x, y, 1)
        return lambda asked: f"shade {round(slope * float(asked.parts[0].view('pixels').mean()) + start)}"

    both: dict[str, Source] = {"squares": source, "dark": Jsonl(dark / "dark.jsonl")}
    report = Report.of(transfer(train, both, both, tmp_path / "run"), ["exact-match"])
    systems, data, values = report.matrix("exact-match")
    assert systems == data == ["squares", "dark"]
    assert values[0][0] == values[1][1] == 1.0
    assert values[0][1] is not None and values[0][1] < 0.5 and values[1][0] is not None and values[1][0] < 0.5
    written = report.save(tmp_path / "report")
    assert [path.name for path in written] == ["report.json", "scores.png", "transfer-exact-match.png"]


def test_a_curve_begins_with_the_run_without_perturbation(source: Jsonl, tmp_path: Path) -> None:
    found = run(
        {"eye": eye()}, {"squares": source}, tmp_path, conditions=conditions(perturb=["noise=0.9", "noise=0.1"])
    )
    report = Report.of(found, ["exact-match"])
    ((about, points),) = report.curves("exact-match").items()
    assert about == ("eye", "squares", "noise") and [strength for strength, _ in points] == [0.0, 0.1, 0.9]
    assert points[0][1].value == 1.0 > points[2][1].value
    assert [path.name for path in report.save(tmp_path / "report")][2:] == ["curves-exact-match.png"]


def test_a_report_is_read_back_as_it_was(tmp_path: Path) -> None:
    report = Report.of(
        [said("1", "a cat", "a cat", system="x"), said("2", "dog", "a cat", system="x")], ["f1", "cider"]
    )
    report.save(tmp_path, plots=False)
    assert Report.load(tmp_path / "report.json") == report
    assert json.loads((tmp_path / "report.json").read_text())["results"][0]["scores"]["f1"]["n"] == 2
    (tmp_path / "report.json").write_text("{}")
    with pytest.raises(IntakeError, match="is no report"):
        Report.load(tmp_path / "report.json")


def test_plots_take_names_as_they_are_and_need_no_interval(tmp_path: Path) -> None:
    report = Report.of(
        [said("1", "a", "a", system="_$x$_{y}", data="%s"), said("1", "a", "a", system="other")], NAMES[:2]
    )
    path = report.save(tmp_path)[1]
    with Pillow.open(path) as picture:
        assert picture.width > 600 and len(picture.getcolors(2**20) or []) > 10


def test_every_metric_has_a_name_by_which_it_scores_predictions() -> None:
    told = [said("1", "Yes.", "yes"), said("2", "No.", "no")]
    wanted = [item.model_copy(update={"wanted": ("image",)}) for item in told]
    found = score(wanted, NAMES)
    assert {name.split(".")[0] for name in found} == set(NAMES)
    assert found["vqa"].value == found["presence.accuracy"].value == 1.0 and found["routing.recall"].value == 0.0


def test_what_could_not_be_answered_is_wrong_not_left_out() -> None:
    failed = said("2", "", "a cat").model_copy(update={"error": "out of breath", "parts": ()})
    report = Report.of([said("1", "a cat", "a cat"), failed], ["exact-match"])
    assert (report.results[0].failed, report.results[0].scores["exact-match"].value) == (1, 0.5)


@pytest.mark.parametrize(
    ("predictions", "name", "reason"),
    [
        ([said("1", "x", "x")], "beauty", "no metric is called 'beauty'; there are vqa"),
        ([said("1", "x")], "f1", "f1 needs references"),
        ([said("1", "x", "x")], "presence", "nothing to score"),
        ([], "f1", "no predictions"),
    ],
)
def test_what_cannot_be_scored_is_told(predictions: list[Prediction], name: str, reason: str) -> None:
    with pytest.raises(IntakeError, match=reason):
        Report.of(predictions, [name])


def test_importing_the_room_is_light() -> None:
    code = (
        "import mmagent.evaluation.runs, mmagent.evaluation.report, mmagent.evaluation.raters, sys\n"
        "print(*sorted({'torch', 'matplotlib', 'nltk', 'sacrebleu', 'jiwer', 'rouge_score'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
