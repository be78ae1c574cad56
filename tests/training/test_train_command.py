"""`mmagent train`: a run file in, a model's folder out; stopped and gone on with; checked beforehand."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from safetensors.numpy import load_file

from mmagent.cli.app import main
from mmagent.errors import MissingExtra
from mmagent.training import checkpoint, log

Model = Callable[..., Path]


@pytest.fixture
def run(model_of: Model, data: Path, tmp_path: Path) -> Callable[..., Path]:
    """Writes a run file beside the data."""

    def write(kind: str = "align-inputs", file: str = "seen", **changes: Any) -> Path:
        content = {
            "model": str(model_of()),
            "stage": {"kind": kind},
            "data": [{"kind": "jsonl", "path": f"{file}.jsonl"}],
            "recipe": {"steps": 40, "rate": 0.01, "warmup": 2, "average": 0.0, "keep_every": 5},
            "batch": 4,
        }
        path = data / f"{tmp_path.name}.yaml"
        path.write_text(yaml.safe_dump(content | changes))
        return path

    return write


def mmagent(*words: object) -> Result:
    return CliRunner().invoke(main, list(map(str, words)))


def test_a_run_is_stopped_gone_on_with_and_saved(run: Callable[..., Path], tmp_path: Path) -> None:
    file, parts, whole = run(), tmp_path / "parts", tmp_path / "whole"
    stopped = mmagent("train", file, "--out", parts, "--minutes", 0)
    assert stopped.exit_code == 0 and "go on with: mmagent train" in stopped.stderr
    refused = mmagent("train", file, "--out", parts)
    assert refused.exit_code == 5 and "go on with it by --resume" in refused.stderr
    other = mmagent("train", file, "--out", parts, "--resume", "--set", "batch=2")
    assert other.exit_code == 5 and "whose batch is another" in other.stderr
    done = mmagent("train", file, "--out", parts, "--resume")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.strip() == str(parts / "model")
    assert "steps 40 of 40: " in done.stderr and "frozen 2 of 2" in done.stderr
    assert {path.name for path in (parts / "model").iterdir()} == {"model.yaml", "trained.safetensors"}
    assert (parts / log.PLOT).exists() and list(parts.glob("events.out.tfevents.*"))
    assert mmagent("train", file, "--out", whole).exit_code == 0
    kept, again = (load_file(folder / "model" / "trained.safetensors") for folder in (parts, whole))
    assert kept.keys() == again.keys() and all(kept[name].tobytes() == again[name].tobytes() for name in kept)


@pytest.mark.parametrize(("kind", "file"), [("align-inputs", "seen"), ("align-outputs", "drawn"), ("prefer", "liked")])
def test_a_run_that_can_work_is_told_so(run: Callable[..., Path], kind: str, file: str) -> None:
    result = mmagent("train", run(kind, file), "--check", "--json", "--set", "recipe.rate=0.03")
    assert result.exit_code == 0, result.stdout + result.stderr
    found = json.loads(result.stdout)
    assert found["works"] and found["after"] < found["before"]
    assert found["joints"][0].startswith("image in: embedding(tokens=4, width=7, space=small.quarters) → mlp → embed")
    assert sum(found["trained"].values()) > 0 and found["frozen"]["backbone"] > 0
    assert found["hours"] > 0 and found["packing"] >= 0 and found["memory"] > 1e6
    if kind != "prefer":
        assert found["exchanged"] > 2 * found["after"]


def test_answers_that_do_not_depend_on_the_picture_are_found_out(run: Callable[..., Path], data: Path) -> None:
    lines = [json.loads(line) for line in (data / "seen.jsonl").read_text().splitlines()]
    for line in lines:
        line["turns"][1]["parts"][0]["text"] = "It is red."
    (data / "same.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    result = mmagent("train", run(file="same"), "--check")
    assert result.exit_code == 1
    assert "cannot work: with media or targets exchanged the loss is" in result.stdout
    assert "trained: inputs.image, 1,312 parameters" in result.stdout


def test_an_encoder_that_sees_the_same_in_everything_is_found_out(run: Callable[..., Path], model_of: Model) -> None:
    blind = model_of(inputs={"image": {"encoder": "small-wall", "projector": {"kind": "mlp"}}})
    # One question for each answer: the words tell them apart, the pictures do not.
    result = mmagent("train", run("instruct", "both", model=str(blind)), "--check", "--set", "recipe.rate=0.03")
    assert result.exit_code == 1 and "their encoder makes the same of all media" in result.stdout, result.stdout


def test_what_cannot_work_is_refused_with_its_reason(run: Callable[..., Path], model_of: Model) -> None:
    for changes, why in (
        ({"file": "drawn"}, "the record shows no media, from which input projectors learn"),
        ({"file": "nowhere"}, "cannot read"),
        ({"kind": "prefer"}, "a record of kind gold-pair prefers nothing"),
        ({"model": str(model_of(lora=None)), "kind": "instruct", "file": "both"}, "no lora; instruction tuning"),
    ):
        result = mmagent("train", run(**changes), "--check")
        assert result.exit_code == 1 and "cannot work: " in result.stdout and why in result.stdout, result.stdout


def test_a_run_file_that_is_none_is_told_in_full(run: Callable[..., Path]) -> None:
    result = mmagent("train", run(), "--out", "nowhere", "--set", "recipe.stepz=3", "--set", "stage.kind=guess")
    assert result.exit_code == 5
    assert "recipe.stepz" in result.stderr and "stage" in result.stderr
    assert "write it like recipe.steps=100" in mmagent("train", run(), "--out", "x", "--set", "batch").stderr
    assert mmagent("train", run()).exit_code == 2
    bounds = mmagent("train", run(), "--out", "x", "--set", "recipe.accumulate=0", "--set", "recipe.rate=-1").stderr
    assert "accumulate is 0, not 1 or more; rate is -1" in bounds


def test_a_change_that_has_no_place_is_told(run: Callable[..., Path], tmp_path: Path) -> None:
    for change, why in (
        ("recipe.rate=[", "changes nothing: while parsing"),
        ("data.1.path=x", "'1' is none of the numbers 0 … 0 of a list"),
        ("batch.size=3", "batch holds 4"),
    ):
        result = mmagent("train", run(), "--out", tmp_path / "out", "--set", change)
        assert result.exit_code == 5 and why in result.stderr, result.output
    result = mmagent("train", run(), "--check", "--set", "data.0.path=nowhere.jsonl")
    assert result.exit_code == 1 and "nowhere.jsonl" in result.stdout


def test_a_run_goes_on_with_the_data_and_the_model_that_it_had(
    run: Callable[..., Path], data: Path, tmp_path: Path
) -> None:
    own, out = data / "own.jsonl", tmp_path / "out"
    whole = (data / "seen.jsonl").read_text()
    own.write_text(whole)
    file = run(file="own")
    spec = Path(yaml.safe_load(file.read_text())["model"]) / "model.yaml"

    def resumed() -> str:
        return mmagent("train", file, "--out", out, "--resume", "--minutes", 0).stderr

    assert mmagent("train", file, "--out", out, "--minutes", 0).exit_code == 0
    assert "go on with" in resumed()
    own.write_text(whole.replace("It is red", "It is RED"))
    assert "whose content of data.0 is another" in resumed()
    own.write_text(whole)
    told = spec.read_text()
    spec.write_text(told.replace("Be brief.", "Be long."))
    assert "whose model's content is another" in resumed()
    spec.write_text(told)
    assert "go on with" in resumed()
    kept = json.loads((out / "run.json").read_text())  # what it told at first
    (out / "run.json").write_text(
        json.dumps({key: kept[key] for key in kept if "content" not in key and key != "apart"})
    )
    assert "go on with" in resumed()


def test_bad_records_are_told_once_and_counted(run: Callable[..., Path], data: Path, tmp_path: Path) -> None:
    lines = (data / "seen.jsonl").read_text().splitlines()
    (data / "some.jsonl").write_text("\n".join([*lines[:6], "{}", lines[7]]) + "\n")
    file, out = run(file="some", bad="skip"), tmp_path / "out"
    for more in ([], ["--resume"]):
        done = mmagent("train", file, "--out", out, "--minutes", 0.0 if not more else 9, *more)
        assert done.exit_code == 0 and "1 records could not be used" in done.stderr, done.stderr
    assert len((out / "bad.jsonl").read_text().splitlines()) == 1  # not in each of 20 epochs


def test_a_model_is_saved_before_its_plot_is_drawn(
    run: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(folder: Path) -> None:
        raise MissingExtra("matplotlib", "train", "a training run")

    monkeypatch.setattr(log, "plot", missing)
    result = mmagent("train", run(), "--out", tmp_path / "out", "--set", "recipe.steps=2")
    assert result.exit_code != 0 and (tmp_path / "out" / "model" / "trained.safetensors").exists()


@pytest.mark.slow
def test_a_command_that_was_killed_goes_on_bit_for_bit(run: Callable[..., Path], tmp_path: Path) -> None:
    file = run("instruct", "both", recipe={"steps": 60, "rate": 0.01, "warmup": 2, "keep_every": 2})
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    train = [sys.executable, "-m", "mmagent", "train", str(file), "--out"]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([*train, str(killed)], env=env, stderr=subprocess.DEVNULL)
    while process.poll() is None and not (killed / checkpoint.NAME).exists():
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -signal.SIGKILL and not (killed / "model").exists()
    for folder, more in ((killed, ["--resume"]), (whole, [])):
        subprocess.run([*train, str(folder), *more], env=env, check=True, capture_output=True)
    name = Path("model") / "trained.safetensors"
    one, other = (load_file(folder / name) for folder in (killed, whole))
    assert one.keys() == other.keys() and all(one[key].tobytes() == other[key].tobytes() for key in one)


@pytest.mark.slow
def test_two_processes_train_the_model_that_one_does(run: Callable[..., Path], tmp_path: Path) -> None:
    recipe = {"steps": 20, "rate": 0.01, "warmup": 2, "average": 0.0, "accumulate": 2}
    file = run("instruct", "both", recipe=recipe, stage={"kind": "instruct", "null": 0.0})
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "mmagent"]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*launch, "train", file, "--out", tmp_path / "two"], capture_output=True, text=True, env=env, check=False
    )
    assert done.returncode == 0, done.stderr
    assert mmagent("train", file, "--out", tmp_path / "one").exit_code == 0
    one, two = (log.read(tmp_path / name) for name in ("one", "two"))
    assert [line["loss"] for line in two] == pytest.approx([line["loss"] for line in one], rel=1e-5)
    kept = [checkpoint.read(tmp_path / name) for name in ("one", "two")]
    assert kept[0] is not None and kept[1] is not None and kept[0].tensors.keys() == kept[1].tensors.keys()
