"""New files that pass their checks from the start: a tool or a modality, each with its test.

The files are laid out as a shelf, `tools/NAME.py` and `tests/test_NAME.py`, so that MMAGENT_PATH can name the
folder. The templates beside this file are plain text with `$name`-like fields.
"""

from __future__ import annotations

import keyword
import re
from pathlib import Path
from string import Template

from mmagent.errors import CardError
from mmagent.media import MODALITIES
from mmagent.scaffold.bodies import MAKES, READS, SETTINGS, make_sample, read_file

_HERE = Path(__file__).parent
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_TAKEN = frozenset({"any", "mmagent", "np", "tool", *READS, *MAKES})

Files = dict[Path, str]


def modalities() -> list[str]:
    """What a new tool can start from or make: ours, and those a user declared whose class has a `sample`."""
    return [*READS, *(name for name, kind in MODALITIES.items() if name not in READS and hasattr(kind, "sample"))]


def new_tool(name: str, source: str, target: str) -> Files:
    """The files of a tool that turns modality `source` into `target`, two of `modalities()`, by path within a shelf.

    CardError for a name that is not kebab-case or that is taken.
    """
    module = _module(name)
    given, made = MODALITIES[source].__name__, MODALITIES[target].__name__
    parameter = source.replace("-", "_")
    fields = {
        "name": name,
        "module": module,
        "title": name.replace("-", " "),
        "source": source,
        "parameter": parameter,
        "Source": given,
        "target": target,
        "Target": made,
        "imports": _imports(source, target),
        "setting": SETTINGS.get(target, "variant: int = 0"),
        "read": _indent(READS.get(source) or read_file(parameter)),
        "make": _indent(MAKES.get(target) or make_sample(made)),
    }
    return _filled("tool", module, fields)


def new_modality(name: str) -> Files:
    """The files of a modality, a map of values `[H, W]`, and of a tool that shows one; CardError as for `new_tool`."""
    module = _module(name)
    fields = {"name": name, "module": module, "Class": "".join(part.capitalize() for part in name.split("-"))}
    return _filled("modality", module, fields)


def write(files: Files, folder: Path) -> list[Path]:
    """Write the files under `folder`; CardError, and nothing is written, if one of them is there already."""
    targets = {folder / path: text for path, text in files.items()}
    there = [path for path in targets if path.exists()]
    if there:
        raise CardError(f"{there[0]} is there already; choose another name or folder, or delete it first")
    for path, text in targets.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    return list(targets)


def _filled(kind: str, module: str, fields: dict[str, str]) -> Files:
    return {
        Path("tools", f"{module}.py"): Template((_HERE / f"{kind}.py.txt").read_text("utf-8")).substitute(fields),
        Path("tests", f"test_{module}.py"): Template((_HERE / f"{kind}_test.py.txt").read_text("utf-8")).substitute(
            fields
        ),
    }


def _imports(*names: str) -> str:
    """The lines that import the classes of modalities and `tool`, ours from `mmagent` and others from their files."""
    wanted = {"mmagent": {"tool"}}
    for name in names:
        module = "mmagent" if name in READS else MODALITIES[name].__module__
        wanted.setdefault(module, set()).add(MODALITIES[name].__name__)
    return "\n".join(f"from {module} import {', '.join(sorted(wanted[module]))}" for module in sorted(wanted))


def _module(name: str) -> str:
    module = name.replace("-", "_")
    if not _NAME.fullmatch(name) or keyword.iskeyword(module):
        raise CardError(f"{name!r} cannot be a name; write it in lower case with dashes, like 'night-vision'")
    if module in _TAKEN or name in MODALITIES:
        raise CardError(f"the name {name!r} is taken; choose another")
    return module


def _indent(body: str) -> str:
    return "\n".join(f"    {line}" if line else "" for line in body.strip().splitlines())
