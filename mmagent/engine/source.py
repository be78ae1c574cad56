"""Where modules come from: what is installed is known by its version or its file's date, all else by its text.

Nothing is imported to find that out.
"""

from __future__ import annotations

import ast
import os
import sys
from functools import lru_cache
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import resolve_name
from pathlib import PurePath
from typing import NamedTuple

from blake3 import blake3

from mmagent.engine.keys import BEGAN

SHELF = "mmagent.tools"
"""The tools of every shelf; all other modules below `mmagent` are the package's own."""


class Stamp(NamedTuple):
    """What identifies a module's code. `sure` is false where the file may not be what was loaded."""

    text: str
    sure: bool


def local(name: str) -> bool:
    """Whether a module's code may change without anything being installed: scripts, shelves, whatever has no file."""
    return _installed(name) is None


def stamp(name: str) -> Stamp | None:
    """What identifies a module's code, with that of the local modules that it imports; None if it has no file."""
    installed = _installed(name)
    if installed is not None:
        return Stamp(installed, True)
    if _file(name) is None:
        return None
    sources: dict[str, Stamp] = {}
    open_names = [name]
    while open_names:
        one = open_names.pop()
        path = _file(one)
        if one in sources or path is None or not path.endswith(".py") or _installed(one) is not None:
            continue
        status = os.stat(path)  # noqa: PTH116  # asked for each tool of each plan
        source = _read(path, one, status.st_mtime_ns, status.st_size)
        sources[one] = Stamp(source.digest, one not in sys.modules or status.st_mtime_ns <= BEGAN)
        open_names.extend(source.imports)
    text = "\0".join(f"{one}\0{sources[one].text}" for one in sorted(sources))
    return Stamp(blake3(text.encode()).hexdigest(), all(source.sure for source in sources.values()))


def _installed(name: str) -> str | None:
    """What identifies the installed distribution that a module is part of; None if it is not installed."""
    top = name.partition(".")[0]
    if top in sys.stdlib_module_names or top in sys.builtin_module_names:
        return None if top == "__main__" else f"{top} of {sys.implementation.cache_tag}"
    if top == "mmagent" and name.rpartition(".")[0] != SHELF:
        from mmagent import __version__

        return f"mmagent {__version__}"
    path = _file(name)
    if path is None or (top == "mmagent" or not {"site-packages", "dist-packages"} & set(PurePath(path).parts)):
        return None if path is None or path.endswith(".py") else _dated(name, path)
    return _dated(top, _file(top) or path)


def _dated(name: str, path: str) -> str:
    status = os.stat(path)  # noqa: PTH116  # asked for each tool of each plan
    return f"{name} {status.st_mtime_ns} {status.st_size}"


def _file(name: str) -> str | None:
    """The file of a module, loaded or not."""
    module = sys.modules.get(name)
    path = getattr(module, "__file__", None) if module is not None else _searched(name)
    return path if isinstance(path, str) and os.path.isfile(path) else None  # noqa: PTH113  # the same


def _searched(name: str) -> str | None:
    """The same for one that is not loaded, found from the top package down."""
    parts = name.split(".")
    folders = None
    origin = None
    for end in range(1, len(parts) + 1):
        part = ".".join(parts[:end])
        loaded = getattr(sys.modules.get(part), "__path__", None)
        if loaded is not None and end < len(parts):
            folders = list(loaded)
            continue
        try:
            spec = PathFinder.find_spec(part, folders)
        except KeyError:  # a namespace in one that is not loaded: its list of folders asks for its parent's
            spec = ModuleSpec(part, None)
        if spec is None:
            return None
        origin = spec.origin
        if origin is None:
            inside = [os.path.join(folder, parts[end - 1]) for folder in folders or sys.path]  # noqa: PTH118  # as above
            folders = [folder for folder in inside if os.path.isdir(folder)]  # noqa: PTH112  # the same
        else:
            folders = list(spec.submodule_search_locations or [])
    return origin


class _Source(NamedTuple):
    """A file's text and what it imports, by full name."""

    digest: str
    imports: tuple[str, ...]


@lru_cache(maxsize=1024)
def _read(path: str, name: str, changed: int, size: int) -> _Source:
    with open(path, "rb") as file:  # noqa: PTH123  # beside the calls of os above
        data = file.read()
    package = name if os.path.basename(path) == "__init__.py" else name.rpartition(".")[0]  # noqa: PTH119  # the same
    try:
        tree = ast.parse(data)
    except (SyntaxError, ValueError):  # changed since it was loaded, or never to be loaded: it imports nothing
        return _Source(blake3(data).hexdigest(), ())
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(item.name for item in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.update(imported(package, node.level, node.module or "", [item.name for item in node.names]))
    return _Source(blake3(data).hexdigest(), tuple(sorted(names)))


def imported(package: str, level: int, module: str, names: list[str]) -> list[str]:
    """The modules that `from module import names` in a module of that package may load, by full name."""
    try:
        base = resolve_name("." * level + module, package) if level else module
    except ImportError:  # beyond the top: the import itself will fail
        return []
    return [base, *(f"{base}.{name}" for name in names)]
