"""Train on one set and score on another, through `mmagent train` and `mmagent eval run` alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from mmagent.cli.app import main

SETS = {"warm": ("red", "grey"), "cold": ("blue", "green")}


@pytest.fixture
def sets(data: Path, tmp_path: Path) -> dict[str, Path]:
    """Two data sets that share no colour."""
    lines = (data / "seen.jsonl").read_text().splitlines(keepends=True)
    paths = {name: data / f"{tmp_path.name}-{name}.jsonl" for name in SETS}
    for name, path in paths.items():
        path.write_text("".join(line for line in lines if any(f"{colour}.png" in line for colour in SETS[name])))
    return paths


def test_a_model_answers_what_it_was_trained_on_and_the_table_tells_the_rest(
    model_of: Callable[..., Path], sets: dict[str, Path], tmp_path: Path
) -> None:
    folders = {}
    for name, path in sets.items():
        run = {
            "model": str(model_of()),
            "stage": {"kind": "align-inputs"},
            "data": [{"kind": "jsonl", "path": str(path)}],
            "recipe": {"steps": 80, "rate": 0.01, "warmup": 2, "average": 0.0, "keep_every": 80},
            "batch": 4,
        }
        file = tmp_path / f"{name}.yaml"
        file.write_text(yaml.safe_dump(run))
        trained = CliRunner().invoke(main, ["train", str(file), "--out", str(tmp_path / name)])
        assert trained.exit_code == 0, trained.stderr
        folders[name] = (tmp_path / name / "model").rename(tmp_path / f"trained-on-{name}")
    words = ["eval", "run", "--metrics", "exact-match", "--json", "--out", str(tmp_path / "table")]
    for name in SETS:
        words += ["--agent", str(folders[name]), "--data", f"jsonl:{sets[name]}"]
    asked = CliRunner().invoke(main, words)
    assert asked.exit_code == 0, asked.stderr
    found = {
        (Path(item["settings"]["system"]).name, item["settings"]["data"]): item["scores"]["exact-match"]["value"]
        for item in json.loads(asked.stdout)["results"]
    }
    assert len(found) == 4
    for name in SETS:
        for other in SETS:
            score = found[f"trained-on-{name}", sets[other].stem]
            assert score == 1.0 if name == other else score < 0.5, found
    assert (tmp_path / "table" / "transfer-exact-match.png").is_file()
