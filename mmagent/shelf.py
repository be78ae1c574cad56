"""Shelves: folders that hold `tools/` and `graphs/`, the user's first, then ours.

It finds folders and files; it imports and reads none of them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

GRAPH_ENDINGS = (".yaml", ".yml")
"""How the name of a graph's file ends."""

_PACKAGE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Shelf:
    """A folder of tools and graphs. `own` is true for the shelf that mmagent ships."""

    root: Path
    own: bool = False

    @property
    def tools(self) -> Path:
        """Where its tools lie, one Python file each."""
        return self.root / "tools"

    @property
    def graphs(self) -> Path:
        """Where its graphs lie, one YAML file each (see `GRAPH_ENDINGS`)."""
        return self.root / "graphs"


def shelves() -> tuple[Shelf, ...]:
    """Every shelf, in order of precedence: the folders of `MMAGENT_PATH` (separated as in PATH), then ours."""
    named = [Path(part).expanduser() for part in os.environ.get("MMAGENT_PATH", "").split(os.pathsep) if part]
    return (*(Shelf(root.resolve()) for root in named), own_shelf())


def own_shelf() -> Shelf:
    """Our shelf: inside the package when it is installed, beside it in a checkout."""
    beside = _PACKAGE.parent
    installed = (_PACKAGE / "graphs").is_dir() or not (beside / "graphs").is_dir()
    return Shelf(_PACKAGE if installed else beside, own=True)


def graph_files() -> dict[str, Path]:
    """Name → file of every graph on a shelf; a name on an earlier shelf hides a later one."""
    found: dict[str, Path] = {}
    for shelf in shelves():
        for path in sorted(shelf.graphs.iterdir()) if shelf.graphs.is_dir() else ():
            if path.suffix in GRAPH_ENDINGS:
                found.setdefault(path.stem, path)
    return found
