"""The registry: finds tools by name on the shelves, in entry points and among those added in Python.

Listing imports the tools' files, whose heavy imports wait for `load()`; a file that cannot be imported is
listed as broken with its cause. It knows nothing of graphs or of running.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING

from mmagent.card import Card
from mmagent.errors import BrokenTool, CardError, MMAgentError, UnknownName
from mmagent.tool import FunctionTool, Tool, ToolType

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "mmagent.tools"


@dataclass(frozen=True, slots=True)
class Listing:
    """One line of the registry: a tool with its card, or a file that is broken and why. `origin` is the file."""

    name: str
    origin: str
    card: Card | None = None
    broken: str = ""


class Registry:
    """Tools by name. A name without version means the highest version; tools added in Python win over files."""

    def __init__(self) -> None:
        self._added: dict[str, ToolType] = {}

    def add(self, *tools: ToolType) -> None:
        """Register tools made in Python; a name that is already added is replaced."""
        for item in tools:
            card = getattr(item, "card", None)
            if not isinstance(card, Card):
                raise CardError(f"{item!r} is not a tool; decorate a typed function with @tool or subclass Tool")
            self._added[card.name] = item

    @property
    def added(self) -> Mapping[str, ToolType]:
        """The tools made in Python, by full name."""
        return MappingProxyType(self._added)

    def copy(self) -> Registry:
        """A registry with the same additions, to which more can be added without touching this one."""
        other = Registry()
        other._added.update(self._added)
        return other

    def get(self, name: str) -> ToolType | None:
        """The tool of that name, or None."""
        found = _latest(name, self._added.values())
        if found is not None:
            return found
        module = _module(name)
        if module.isidentifier():
            found = _latest(name, _in_module(module))
        return found or _latest(name, self._everything())

    def find(self, name: str) -> ToolType:
        """The tool of that name; UnknownName lists the nearest names, BrokenTool the cause of a broken file."""
        found = self.get(name)
        if found is not None:
            return found
        listings = self.listings()
        for listing in listings:
            if listing.broken and listing.name == _module(name):
                raise BrokenTool(f"tool {name!r}: its file {listing.origin} fails to import: {listing.broken}")
        names = sorted(listing.card.name for listing in listings if listing.card)
        near = difflib.get_close_matches(name, [*names, *(item.rsplit(".v", 1)[0] for item in names)], 3)
        hint = f"did you mean {' or '.join(near)}?" if near else "`mmagent tools list` shows them all"
        raise UnknownName(f"no tool {name!r} is on a shelf; {hint}")

    def card(self, name: str) -> Card:
        """The card of the tool of that name; raises as `find` does."""
        return self.find(name).card

    def listings(self) -> list[Listing]:
        """Every tool and every broken file, by name; a tool that an earlier shelf hides is not listed."""
        found: dict[str, Listing] = {}
        for card in (item.card for item in self._added.values()):
            found[card.name] = Listing(card.name, "added in Python", card)
        for name, origin, content in _sources():
            if isinstance(content, str):
                found.setdefault(name, Listing(name, origin, broken=content))
                continue
            for item in content:
                found.setdefault(item.card.name, Listing(item.card.name, origin, item.card))
        return sorted(found.values(), key=lambda listing: listing.name)

    def cards(self) -> list[Card]:
        """The cards of every tool that can be loaded, by name."""
        return [listing.card for listing in self.listings() if listing.card is not None]

    def _everything(self) -> Iterator[ToolType]:
        for _, _, content in _sources():
            if not isinstance(content, str):
                yield from content


def load_tool(name: str, **settings: object) -> object:
    """A loaded tool by name, ready to `run`, with those settings for its constructor."""
    kind = registry.find(name)
    instance = kind.make(kind.card.check_settings(settings))
    instance.load()
    return instance


def _module(name: str) -> str:
    """The file in which a tool of that name is looked for first."""
    return name.split(".v")[0].replace("-", "_")


def _latest(name: str, tools: object) -> ToolType | None:
    matches = [
        item
        for item in tools  # type: ignore[attr-defined]  # any iterable of tools
        if item.card.name == name or item.card.short == name
    ]
    return max(matches, key=lambda item: int(item.card.name.rsplit(".v", 1)[1]), default=None)


def tools_in(module: ModuleType) -> list[ToolType]:
    """The tools that a module defines itself, in the order in which it defines them."""
    return [
        item
        for item in vars(module).values()
        if (
            isinstance(item, FunctionTool)
            or (isinstance(item, type) and issubclass(item, Tool) and "card" in vars(item))
        )
        and item.__module__ == module.__name__
    ]


def _in_module(name: str) -> list[ToolType]:
    try:
        return tools_in(importlib.import_module(f"mmagent.tools.{name}"))
    except Exception:  # a broken or absent file: the full search that follows says which
        return []


def _sources() -> Iterator[tuple[str, str, list[ToolType] | str]]:
    """Each file and entry point as (name, origin, its tools or the cause why it cannot be imported)."""
    from importlib.metadata import entry_points  # slow to import, and needed only here

    import mmagent.tools as shelf

    shelf.refresh()
    for info in pkgutil.iter_modules(shelf.__path__):
        origin = f"{getattr(info.module_finder, 'path', '')}/{info.name}.py"
        yield (
            info.name,
            origin,
            _attempt(lambda name=info.name: tools_in(importlib.import_module(f"mmagent.tools.{name}"))),
        )
    for point in entry_points(group=GROUP):
        yield point.name, f"entry point {point.value}", _attempt(lambda point=point: _from_point(point))


def _from_point(point: EntryPoint) -> list[ToolType]:
    loaded = point.load()
    return tools_in(loaded) if isinstance(loaded, ModuleType) else [loaded]


def _attempt(read: object) -> list[ToolType] | str:
    try:
        return read()  # type: ignore[operator,no-any-return]  # a thunk of this module
    except (Exception, SystemExit) as error:  # whatever a user's file raises must not break the listing
        if isinstance(error, MMAgentError):
            return str(error)
        return f"{type(error).__name__}: {error}"


def forget(module: str) -> None:
    """Drop an imported tool file, so that its next use reads it anew (after it was edited)."""
    sys.modules.pop(f"mmagent.tools.{module}", None)
    importlib.invalidate_caches()


registry = Registry()
"""The registry that is used where none is named."""
