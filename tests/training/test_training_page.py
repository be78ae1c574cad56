"""The page about training shows files that are what it says, and the example does what it promises."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from mmagent.model.spec import ModelSpec
from mmagent.training.run.data import ReaderSpec
from mmagent.training.run.spec import RunSpec
from mmagent.training.stages import StageSpec

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "training.md").read_text("utf-8")


def test_the_files_on_the_page_are_a_model_and_a_run() -> None:
    model, run = (yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.M | re.S))
    assert ModelSpec.model_validate(model).outputs["image"].k == 4
    assert RunSpec.model_validate(run).recipe.steps == 2000


@pytest.mark.parametrize(("union", "where"), [(StageSpec, "The stages"), (ReaderSpec, "A run")])
def test_the_page_names_every_kind(union: Any, where: str) -> None:
    section = PAGE.split(f"## {where}\n")[1].split("\n## ")[0]
    kinds = [get_args(kind.model_fields["kind"].annotation)[0] for kind in get_args(get_args(union)[0])]
    assert len(kinds) >= 4
    assert [kind for kind in kinds if f"`{kind}`" not in section] == []


@pytest.mark.slow
def test_the_example_trains_a_model_that_sees_and_paints(tmp_path: Path) -> None:
    script = ROOT / "examples" / "train_your_own.py"
    done = subprocess.run([sys.executable, script, tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("; True") == 3
    for name, place in (("red", 0), ("blue", 2)):
        found = re.search(rf"{name}: It is {name}\. and a picture of colour \[(\d+), (\d+), (\d+)\]", done.stdout)
        assert found, done.stdout
        colour = [int(part) for part in found.groups()]
        assert colour[place] > 170 and max(colour[:place] + colour[place + 1 :]) < 90
    assert done.stdout.count("by my-own-image-projector.v1 → painter.v1 on the embedding wire") == 2
