"""Presets: YAML files on the shelves that name a tool with settings, one a line.

    my-clip: {tool: image-encoder, model: openai/clip-vit-base-patch32}
    my-sd:   {tool: image-diffusion, model: ./sd15, steps: 20, cost: 90}

A value that begins with `./` or `../` is a path from the file's own folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mmagent.errors import CardError
from mmagent.registry.files import cause
from mmagent.registry.sources import Source
from mmagent.shelf import preset_files
from mmagent.tool import Preset, ToolType

_OPTIONS = ("doc", "cost", "memory")
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*(\.v[0-9]+)?")

_read: dict[Path, tuple[tuple[int, int], Mapping[str, object]]] = {}


def from_presets(tools: Sequence[ToolType], wanted: str = "") -> Iterator[Source]:
    """Every preset of every shelf as a source of its own, made of one of `tools`; a name stands for the first.

    One whose card cannot be had is broken. With `wanted`, only that one is looked at, and its card is not asked for.
    """
    seen: set[str] = set()
    for path in preset_files():
        try:
            lines = _lines(path)
        except CardError as error:
            if not wanted:
                yield Source(path.stem, str(path), broken=str(error))
            continue
        for name, line in lines.items():
            if name in seen or wanted not in ("", name, f"{name}.v1"):
                continue
            seen.add(name)
            try:
                preset = _preset(name, line, path, tools)
                _ = wanted or preset.card  # what is wrong with its settings shows here
            except Exception as error:  # a card is the work of the tool's author, and may raise anything
                yield Source(name, str(path), broken=cause(error))
            else:
                yield Source(name, str(path), (preset,))


def _lines(path: Path) -> Mapping[str, object]:
    """The file's mapping, read once as long as it is the same; CardError if it is none."""
    try:
        status = path.stat()
        stamp = status.st_mtime_ns, status.st_size
        if path in _read and _read[path][0] == stamp:
            return _read[path][1]
        import yaml

        lines = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise CardError(f"{path} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CardError(f"{path} is no YAML in UTF-8: {error}") from None
    if not isinstance(lines, dict):
        raise CardError(f"{path} holds {type(lines).__name__}; write lines like name: {{tool: ..., setting: ...}}")
    found = {str(name): line for name, line in lines.items()}
    _read[path] = stamp, found
    return found


def _preset(name: str, line: object, path: Path, tools: Sequence[ToolType]) -> Preset:
    if not _NAME.fullmatch(name):
        raise CardError(f"preset {name!r} is not kebab-case; write it like my-clip")
    if not isinstance(line, dict) or not isinstance(line.get("tool"), str):
        raise CardError(f"preset {name} names no tool; write {name}: {{tool: image-encoder, model: ...}}")
    wanted = line["tool"]
    found = [item for item in tools if wanted in (item.card.name, item.card.short)]
    if not found:
        raise CardError(f"preset {name}: no tool {wanted!r} is on a shelf; `mmagent tools list` shows them all")
    if any(name in (item.card.name, item.card.short) for item in tools):
        raise CardError(f"preset {name} has the name of a tool, which hides it; rename it")
    base = max(found, key=lambda item: int(item.card.name.rsplit(".v", 1)[1]))
    own = {key: line[key] for key in _OPTIONS if key in line}
    settings = {str(key): _beside(value, path) for key, value in line.items() if key != "tool" and key not in _OPTIONS}
    return Preset(name, base, settings, **own)


def _beside(value: object, path: Path) -> object:
    if isinstance(value, str) and value.startswith(("./", "../")):
        return str((path.parent / value).resolve())
    return value
