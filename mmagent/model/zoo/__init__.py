"""The models that are shipped, one folder each; and how a model is found by name or by folder."""

from __future__ import annotations

import difflib
from pathlib import Path

from mmagent.errors import UnknownName
from mmagent.model.spec import ModelSpec, read_spec

_HERE = Path(__file__).parent


def names() -> list[str]:
    """The names of the shipped models."""
    return sorted(path.parent.name for path in _HERE.glob("*/model.yaml"))


def find(name: str | Path) -> ModelSpec:
    """The spec of a shipped model by name, or of any folder that holds a `model.yaml`."""
    return read_spec(place(name))


def place(name: str | Path) -> Path:
    """The folder of a shipped model, or the folder itself; UnknownName lists the models there are."""
    if isinstance(name, str) and name in names():
        return _HERE / name
    folder = Path(name).expanduser()
    if (folder / "model.yaml").is_file():
        return folder
    known = names()
    near = difflib.get_close_matches(str(name), known, 1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
    raise UnknownName(f"no model {str(name)!r} is shipped, and it is no folder with a model.yaml; {hint}")
