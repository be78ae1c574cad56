"""Train on one set and score on another, through `mmagent train` and `mmagent eval run` alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from mmagent.cli.app import main

OTHER = {"red": "blue", "blue": "red", "green": "grey", "grey": "green"}
"""What a colour is called in the second set."""


@pytest.fixture
def sets(data: Path, tmp_path: Path) -> dict[str, Path]:
    """The same pictures twice, and every colour called by another's name the second time."""
    lines = [json.loads(line) for line in (data / "seen.jsonl").read_text().splitlines()]
    paths = {name: data / f"{tmp_path.name}-{name}.jsonl" for name in ("right", "wrong")}
    paths["right"].write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    for line in lines:
        said = line["turns"][1]["parts"][0]
        name = said["text"].removeprefix("It is ").removesuffix(".")
        said["text"] = f"It is {OTHER[name]}."
    paths["wrong"].write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return paths


def test_models_answer_as_they_were_trained_to_and_the_table_tells_it(
    model_of: Callable[..., Path], sets: dict[str, Path], tmp_path: Path
) -> None:
    folders = {}
    for name, path in sets.items():
        run = {
            "model": str(model_of()),
            "stage": {"kind": "align-inputs"},
            "data": [{"kind": "jsonl", "path": str(path)}],
            "recipe": {"steps": 160, "rate": 0.01, "warmup": 2, "average": 0.0, "keep_every": 160},
            "batch": 4,
        }
        file = tmp_path / f"{name}.yaml"
        file.write_text(yaml.safe_dump(run))
        trained = CliRunner().invoke(main, ["train", str(file), "--out", str(tmp_path / name)])
        assert trained.exit_code == 0, trained.stderr
        folders[name] = (tmp_path / name / "model").rename(tmp_path / f"trained-on-{name}")
    words = ["eval", "run", "--metrics", "exact-match", "--json", "--out", str(tmp_path / "table")]
    for name in sets:
        words += ["--agent", str(folders[name]), "--data", f"jsonl:{sets[name]}"]
    asked = CliRunner().invoke(main, words)
    assert asked.exit_code == 0, asked.stderr
    found = {
        (Path(item["settings"]["system"]).name, item["settings"]["data"]): item["scores"]["exact-match"]["value"]
        for item in json.loads(asked.stdout)["results"]
    }
    assert len(found) == 4
    for name in sets:
        for other in sets:
            score = found[f"trained-on-{name}", sets[other].stem]
            assert score > 0.7 if name == other else score < 0.3, found
    assert (tmp_path / "table" / "transfer-exact-match.png").is_file()
