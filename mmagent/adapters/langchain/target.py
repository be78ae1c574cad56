"""What LangChain calls: a tool with settings, or a graph, with media in and media out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmagent.card import Card, Scalar
from mmagent.engine.graph import Graph
from mmagent.engine.plan import Plan, compile
from mmagent.engine.run import Engine, default_engine
from mmagent.errors import CardError
from mmagent.graph.builder import GraphBuilder
from mmagent.graph.library import Library
from mmagent.graph.single import Inputs, single
from mmagent.graph.spec import GraphSpec
from mmagent.registry import Registry
from mmagent.shelf import GRAPH_ENDINGS
from mmagent.tool import ToolType

Callable = str | Path | ToolType | Graph | GraphSpec | GraphBuilder
"""A tool or a graph by name, a graph by file, or either itself."""


@dataclass(frozen=True)
class Target:
    """A tool or a graph, found. `fixed` are settings that every call has."""

    card: Card
    library: Library
    engine: Engine
    fixed: Mapping[str, Scalar]
    graph: Graph | None = None

    def plan(self, inputs: Inputs, settings: Mapping[str, object]) -> Plan:
        """A call as a plan to run on those inputs; GraphError or CardError if it does not check.

        Where a tool's input does not fit as it is, a converter that loses nothing is put in, as in any graph.
        """
        if self.graph is not None:
            if settings:
                raise CardError(f"graph {self.card.short} has no settings, and {', '.join(settings)} was given")
            return self.graph.plan()
        chosen = self.card.check_settings({**self.fixed, **settings})
        return compile(self.library.checked(single(self.card, inputs, chosen)), self.library.registry)


def target(
    what: Callable,
    *,
    settings: Mapping[str, Scalar] | None = None,
    registry: Registry | None = None,
    engine: Engine | None = None,
) -> Target:
    """The tool or graph that is meant; UnknownName lists the nearest names, CardError what is wrong with settings."""
    fixed = dict(settings or {})
    library = Library(registry).extended()
    if isinstance(what, str) and not what.endswith(GRAPH_ENDINGS):
        found = library.find(what)
        what = found if isinstance(found, GraphSpec) else library.registry.find(what)
    if isinstance(what, str | Path | GraphSpec | GraphBuilder):
        what = Graph(what, registry=registry)
    if isinstance(what, Graph):
        if fixed:
            raise CardError(
                f"graph {what.name} has no settings, and {', '.join(fixed)} was given; set them in its nodes"
            )
        return Target(what.card, what.library, engine or what.engine, {}, what)
    library.registry.add(what)
    card = what.card
    for name, value in fixed.items():
        setting = card.setting(name)
        if setting is None:
            known = ", ".join(item.name for item in card.settings) or "none"
            raise CardError(f"{card.name}: no setting {name!r}; it has {known}")
        fixed[name] = setting.check(value, card.name)
    if not any(item.required and item.name not in fixed for item in card.settings):
        card = what.card_for(card.check_settings(fixed))
    return Target(card, library, engine or default_engine(), fixed)


def outputs(card: Card, made: Mapping[str, Any]) -> dict[str, Any]:
    """The outputs of a run by port, in the card's order; one that was left out is None."""
    return {port.name: made.get(port.name) for port in card.outputs}
