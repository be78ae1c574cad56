"""Shelves: folders that hold `tools/` and `graphs/`, the user's first, then ours.

It finds folders and files; it imports and reads none of them.
"""

from __future__ import annotations

import os
import pkgutil
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
    """Every shelf once, in order of precedence: the folders of `MMAGENT_PATH` (separated as in PATH), then ours."""
    own = own_shelf()
    parts = os.environ.get("MMAGENT_PATH", "").split(os.pathsep)
    named = [Path(os.path.expanduser(part)) for part in parts if part]  # noqa: PTH111  # Path's raises for no such user
    roots = dict.fromkeys([*(root.resolve() for root in named), own.root.resolve()])
    return tuple(own if root == own.root.resolve() else Shelf(root) for root in roots)


def own_shelf() -> Shelf:
    """Our shelf: inside the package when it is installed, beside it in a checkout."""
    beside = _PACKAGE.parent
    installed = (_PACKAGE / "graphs").is_dir() or not (beside / "graphs").is_dir()
    return Shelf(_PACKAGE if installed else beside, own=True)


def tool_folders() -> list[str]:
    """The folders in which tools lie, in order of precedence."""
    return [str(shelf.tools) for shelf in shelves() if shelf.tools.is_dir()]


def tool_files() -> dict[str, list[Path]]:
    """Module name → its files on the shelves, in order of precedence: the first is used, and hides the others."""
    found: dict[str, list[Path]] = {}
    for folder in tool_folders():
        for info in pkgutil.iter_modules([folder]):
            path = Path(folder, info.name)
            found.setdefault(info.name, []).append(path / "__init__.py" if info.ispkg else path.with_suffix(".py"))
    return found


def preset_files() -> list[Path]:
    """The YAML files among the tools, which name tools with settings, in order of precedence."""
    return [
        path for folder in tool_folders() for path in sorted(Path(folder).iterdir()) if path.suffix in GRAPH_ENDINGS
    ]


def graph_files() -> dict[str, Path]:
    """Name → file of every graph on a shelf; a name on an earlier shelf hides a later one."""
    found: dict[str, Path] = {}
    for shelf in shelves():
        for path in sorted(shelf.graphs.iterdir()) if shelf.graphs.is_dir() else ():
            if path.suffix in GRAPH_ENDINGS:
                found.setdefault(path.stem, path)
    return found
