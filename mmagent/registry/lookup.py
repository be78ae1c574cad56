"""Tools by name. Which of several of a name answers is told where the package begins."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from mmagent.card import Card
from mmagent.errors import BrokenTool, UnknownName
from mmagent.registry.files import cause, stem
from mmagent.registry.presets import from_presets
from mmagent.registry.sources import Source, card_of, from_file, from_points, name_of, sources, tools_of
from mmagent.shelf import preset_files, tool_files
from mmagent.tool import Preset, ToolType


@dataclass(frozen=True, slots=True)
class Listing:
    """One line of the registry: a tool with its card, or a file that cannot be used and why. `origin` is the file."""

    name: str
    origin: str
    card: Card | None = None
    broken: str = ""


class Registry:
    """Tools by name: those added to it, and those of every shelf and entry point."""

    def __init__(self) -> None:
        self._added: dict[str, ToolType] = {}

    def add(self, *tools: ToolType) -> None:
        """Register tools made in Python; a name that is already added is replaced."""
        for item in tools:
            self._added[card_of(item).name] = item

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
        found = _latest(name, tools_of(stem(name)))
        found = found or _latest(name, (item for source in sources() for item in source.tools))
        return found or next((item for source in self._presets(name) for item in source.tools), None)

    def _presets(self, name: str = "") -> Iterator[Source]:
        """The presets of the shelves, each of a tool that is none itself; or the one of that name alone, unproven."""
        if preset_files():
            added = [item for item in self._added.values() if not isinstance(item, Preset)]
            yield from from_presets([*(item for source in sources() for item in source.tools), *added], name)

    def find(self, name: str) -> ToolType:
        """The tool of that name; BrokenTool says why its file cannot be imported, UnknownName what comes nearest."""
        found = self.get(name)
        if found is not None:
            return found
        paths = tool_files().get(stem(name), [])
        for source in self._presets(name):
            if source.broken:
                raise BrokenTool(f"tool {name!r} of {source.origin} cannot be used: {source.broken}")
        for source in (*from_file(stem(name)), *from_points()):
            mine = source.name.replace("-", "_") == stem(name) and source.origin not in map(str, paths[1:])
            if source.broken and mine:
                raise BrokenTool(f"tool {name!r}: its file {source.origin} fails to import: {source.broken}")
        names = [card.name for card in self.cards()]
        near = difflib.get_close_matches(name, [*names, *(item.rsplit(".v", 1)[0] for item in names)], 3)
        hints = [f"did you mean {' or '.join(near)}?"] if near else []
        hints += [f"{path}, which may have it, is hidden by {paths[0]}; rename that file" for path in paths[1:]]
        raise UnknownName(f"no tool {name!r} is on a shelf; {' '.join(hints) or '`mmagent tools list` shows them all'}")

    def card(self, name: str) -> Card:
        """The card of the tool of that name; raises as `find` does."""
        return self.find(name).card

    def listings(self) -> list[Listing]:
        """Every tool, and every file that cannot be used, by name. Of tools that share a name the one that `get` gives."""
        found: dict[str, Listing] = {}
        unusable: list[Listing] = []
        for source in (*sources(), *self._presets()):
            if source.broken:
                unusable.append(Listing(source.name, source.origin, broken=source.broken))
            for item in source.tools:
                if item.card.name not in found or source.stem == stem(item.card.name):
                    found[item.card.name] = Listing(item.card.name, source.origin, item.card)
        for name, item in self._added.items():
            try:
                found[name] = Listing(name, "added in Python", item.card)
            except Exception as error:  # a preset whose checkpoint is gone must not hide the others
                unusable.append(Listing(name, "added in Python", broken=cause(error)))
        return sorted([*found.values(), *unusable], key=lambda listing: listing.name)

    def cards(self) -> list[Card]:
        """The cards of every tool that can be loaded, by name."""
        return [listing.card for listing in self.listings() if listing.card is not None]


def load_tool(name: str, **settings: object) -> object:
    """A loaded tool by name, ready to `run`, with those settings for its constructor."""
    kind = registry.find(name)
    instance = kind.make(kind.card.check_settings(settings))
    instance.load()
    return instance


def _latest(name: str, tools: Iterable[ToolType]) -> ToolType | None:
    matches = [item for item in tools if name in (full := name_of(item), full.rsplit(".v", 1)[0])]
    return max(matches, key=lambda item: int(name_of(item).rsplit(".v", 1)[1]), default=None)


registry = Registry()
"""The registry that is used where none is named."""
