"""Where tools come from: the files on the shelves, and the entry points of installed packages.

Whatever a file or package raises when it is imported becomes the reason why it cannot be used.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from types import ModuleType
from typing import TYPE_CHECKING

from mmagent.card import Card
from mmagent.errors import CardError
from mmagent.registry.files import cause, import_file, replaced, stem
from mmagent.shelf import tool_files
from mmagent.tool import FunctionTool, Preset, Tool, ToolType

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "mmagent.tools"


@dataclass(frozen=True, slots=True)
class Source:
    """A file or an entry point, with its tools or with why it cannot be used. `stem` is the file's."""

    name: str
    origin: str
    tools: tuple[ToolType, ...] = ()
    broken: str = ""
    stem: str = ""


def sources() -> Iterator[Source]:
    """Every file, in order of shelves and names, and then every entry point."""
    for name in tool_files():
        yield from from_file(name)
    yield from from_points()


def tools_of(name: str) -> tuple[ToolType, ...]:
    """The tools of the file of that stem, none if it cannot be used. Once it is imported this reads no folder."""
    return _read(name, "", lambda: tools_in(import_file(name))).tools


def from_file(name: str) -> Iterator[Source]:
    """The file of that stem, and one that it hides without having a tool of that name itself."""
    path, *hidden = tool_files().get(name, [None])
    if path is None:
        return
    source = replace(_read(name, str(path), lambda: tools_in(import_file(name))), stem=name)
    if name in replaced:
        other, why = replaced[name]
        yield replace(source, origin=str(other))
        yield Source(name, str(path), broken=why)
        return
    yield source
    if hidden and not source.broken and all(stem(item.card.name) != name for item in source.tools):
        yield Source(name, str(hidden[0]), broken=f"hidden by {path}, which has no tool of that name; rename that file")


def from_points() -> Iterator[Source]:
    """Every entry point of the group `mmagent.tools`: a tool, or a module or package that defines some."""
    from importlib.metadata import entry_points  # slow to import, and needed only here

    try:
        points = entry_points(group=GROUP)
    except Exception as error:  # the metadata of any installed package may be malformed
        yield Source(GROUP, "entry points of installed packages", broken=cause(error))
        return
    for point in points:
        yield _read(point.name, f"entry point {point.value}", functools.partial(_from_point, point))


def _from_point(point: EntryPoint) -> list[ToolType]:
    loaded = point.load()
    if not isinstance(loaded, ModuleType):
        card_of(loaded)
        return [loaded]
    tools = tools_in(loaded)
    if not tools:
        raise CardError(f"{loaded.__name__} defines no tool; decorate a typed function with @tool or subclass Tool")
    return tools


def _read(name: str, origin: str, read: Callable[[], list[ToolType]]) -> Source:
    try:
        return Source(name, origin, tuple(read()))
    except (Exception, SystemExit) as error:  # a file may even leave the process; it must not break the listing
        return Source(name, origin, broken=cause(error))


def card_of(item: object) -> Card:
    """The card of a tool; CardError for what is none."""
    card = getattr(item, "card", None)
    if not isinstance(card, Card):
        raise CardError(f"{item!r} is not a tool; decorate a typed function with @tool or subclass Tool")
    return card


def name_of(item: ToolType) -> str:
    """The full name of a tool. A preset is not asked for its card, which it would have to read files for."""
    return item.name if isinstance(item, Preset) else item.card.name


def tools_in(module: ModuleType) -> list[ToolType]:
    """The tools that a module, or a package with its submodules, defines itself, in the order in which it names them."""
    return [
        item
        for item in vars(module).values()
        if (
            isinstance(item, FunctionTool)
            or (isinstance(item, type) and issubclass(item, Tool) and isinstance(vars(item).get("card"), Card))
        )
        and f"{item.__module__}.".startswith(f"{module.__name__}.")
    ]
