"""Tools as a plan calls them: with settings, recipe prefix and checks worked out once, however many nodes use them."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mmagent.card import ANY, Card, Port, Scalar
from mmagent.engine import keys
from mmagent.engine.ports import Gate
from mmagent.graph.checked import CheckedNode

if TYPE_CHECKING:
    from mmagent.registry import Registry
    from mmagent.tool import ToolType

DISK_COST = 0.05
"""Seconds from which a call is dear enough for its result to be worth a file."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A tool that a node may call, its own or a fallback, with everything about it that is the same for each call.

    `function` is what to call if no instance has to be made for it. `run_settings` go to each call,
    `load_settings` to `make`. `prefix` begins its recipe keys. `cached`: its results may be given again; `stored`: they are kept
    on disk, too. `plain`: it is an inline
    function of one medium, without a context; `output` and `fits` are the name of that and the classes that fit.
    """

    tool: ToolType
    card: Card
    settings: Mapping[str, Scalar]
    run_settings: Mapping[str, Scalar]
    load_settings: tuple[tuple[str, Scalar], ...]
    prefix: str
    function: Any
    returns: tuple[Gate, ...]
    on_loop: bool
    cached: bool
    stored: bool
    plain: bool
    output: str
    fits: set[type]


@dataclass(frozen=True, slots=True)
class _Found:
    """A tool with what does not depend on its settings."""

    tool: ToolType
    at_load: frozenset[str]
    code: str
    whole: bool
    function: Any


class Variants:
    """Finds and prepares each tool once for a plan."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._tools: dict[str, _Found] = {}
        self._made: dict[object, tuple[Variant]] = {}
        self._gates: dict[int, Gate] = {}

    def gate(self, port: Port) -> Gate:
        """The gate of a port of a checked graph. By identity: a card's own ports are the same in every node."""
        found = self._gates.get(id(port))
        if found is None:
            found = self._gates[id(port)] = Gate(port)
        return found

    def of(self, node: CheckedNode) -> tuple[Variant, ...]:
        """The node's own tool and its fallbacks, in order; UnknownName or BrokenTool if one is gone."""
        own = self._variant(node.card, node.settings, node)
        if not node.fallbacks:
            return own
        others = [self._variant(other.card, other.settings, node)[0] for other in node.fallbacks]
        return (*own, *others)

    def _variant(self, card: Card, settings: Mapping[str, Scalar], node: CheckedNode) -> tuple[Variant]:
        # By identity again, since ports do not hash.
        key = (card.name, id(node.outputs), node.spec.each is None, *settings.items())
        if key not in self._made:
            self._made[key] = (self._make(card, settings, node),)
        return self._made[key]

    def _make(self, card: Card, settings: Mapping[str, Scalar], node: CheckedNode) -> Variant:
        found = self._tools.get(card.name)
        if found is None:
            found = self._tools[card.name] = _find(self._registry, card.name)
        ports: tuple[Port, ...] = node.outputs
        if node.spec.each is not None:  # the node's outputs are lists; what one call makes is as the card says
            own = {port.name: port for port in card.outputs}
            ports = tuple(replace(made, many=own[made.name].many, optional=own[made.name].optional) for made in ports)
        returns = tuple(map(self.gate if ports is node.outputs else Gate, ports))
        single = len(ports) == 1 and not ports[0].many and ports[0].modality != "embedding"
        return Variant(
            tool=found.tool,
            card=card,
            settings=settings,
            run_settings={name: value for name, value in settings.items() if name not in found.at_load},
            load_settings=tuple(sorted((name, value) for name, value in settings.items() if name in found.at_load)),
            prefix=keys.prefix(card, settings, found.code),
            function=found.function,
            returns=returns,
            on_loop=card.call.startswith("async"),
            cached=card.cacheable and not card.inline,
            stored=card.cacheable and not card.inline and found.whole and card.cost >= DISK_COST,
            plain=single and card.inline and not card.context and found.function is not None,
            output=ports[0].name,
            fits=returns[0].types,
        )


def _find(registry: Registry, name: str) -> _Found:
    tool = registry.find(name)
    card = tool.card
    at_load = frozenset(setting.name for setting in card.settings if setting.at == "load")
    code, whole = "", True
    if _names_results(card):
        from mmagent.engine.code import code_of  # as late as that: it takes long to import

        code, whole = code_of(tool)
    return _Found(tool, at_load, code, whole, _function(tool))


def _names_results(card: Card) -> bool:
    """Whether a recipe key may stand for what the tool makes: in a cache, or as the digest of an embedding."""
    return card.cacheable and not (
        card.inline and all(port.modality not in ("embedding", ANY) for port in card.outputs)
    )


def _function(tool: ToolType) -> Any:
    """What to call of a plain function that may be called any number of times at once; None for all other tools."""
    plain = getattr(tool, "function", None)
    return plain if inspect.isfunction(plain) and tool.card.concurrency == "reentrant" else None
