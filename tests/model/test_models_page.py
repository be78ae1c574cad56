"""The page about models: its files describe models, and its table names the sizes that projectors have."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from mmagent.model.projectors.spec import ProjectorSpec
from mmagent.model.spec import read_spec

PAGE = (Path(__file__).parents[2] / "docs" / "models.md").read_text("utf-8")
FILES = re.findall(r"^```yaml\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("file", FILES, ids=[file.split()[1] for file in FILES])
def test_a_file_of_the_page_describes_a_model(file: str, tmp_path: Path) -> None:
    (tmp_path / "model.yaml").write_text(file, "utf-8")
    assert read_spec(tmp_path).inputs["image"].projector is not None


def test_the_table_names_every_projector_with_its_sizes() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \| [^|]+ \|([^|]*)\|", PAGE, flags=re.MULTILINE)
    told = {kind: set(re.findall(r"\w+", sizes)) for kind, sizes in rows}
    specs = {str(get_args(kind.model_fields["kind"].annotation)[0]): kind for kind in get_args(ProjectorSpec)}
    assert told == {name: set(kind.model_fields) - {"kind"} for name, kind in specs.items()}
