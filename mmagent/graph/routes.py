"""Routes over modalities: which chains of converters turn one kind of value into another, the best first.

A pure function of cards. The search runs backwards from what is wanted, because a setting such as a sample rate
is chosen by the port that comes after it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count, islice
from math import fsum

from mmagent.card import ANY, Card, Port, Scalar
from mmagent.errors import CardError
from mmagent.graph.ports import misfit, resolve
from mmagent.media import fits

_Key = tuple[str, bool, frozenset[tuple[str, Scalar]]]
_Rank = tuple[int, float, int, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Step:
    """One tool on a route: the ports it is entered and left by, the settings the route depends on.

    `each`: it runs once for every item of a list.
    """

    card: Card
    input: str
    output: str
    settings: Mapping[str, Scalar]
    each: bool = False

    @property
    def lossy(self) -> bool:
        """Whether something of the value is lost or made up here: a generator invents what it makes."""
        return self.card.lossy or self.card.kind == "generator"


@dataclass(frozen=True, slots=True)
class Route:
    """A chain of tools; without any, the value already fits. `hops` says how each tool is entered and set."""

    hops: tuple[Step, ...] = ()

    @property
    def steps(self) -> tuple[Card, ...]:
        """The tools, in the order in which they run."""
        return tuple(hop.card for hop in self.hops)

    @property
    def cost(self) -> float:
        """Seconds expected for one value."""
        return fsum(hop.card.cost for hop in self.hops)

    @property
    def lossy(self) -> int:
        """How many steps lose something or make it up."""
        return sum(hop.lossy for hop in self.hops)

    @property
    def rank(self) -> _Rank:
        """What routes are ordered by: lossy steps, cost, length, names."""
        return self.lossy, self.cost, len(self.hops), tuple(hop.card.name for hop in self.hops)

    def __str__(self) -> str:
        return " → ".join(card.short for card in self.steps)


def routes(
    cards: Iterable[Card], have: Port | str, want: Port | str, *, limit: int = 8, each: bool = False
) -> list[Route]:
    """The best `limit` routes from `have` to `want` (ports or names of modalities), fewest lossy steps first.

    Then by cost, length, names. Converters with one required input and generators of a text are the steps; a
    route ends as soon as the value fits and visits no requirement twice. A constraint that a value does not
    declare is not met by it. With `each`, steps may also run over the items of a list.
    """
    given = Port("value", have) if isinstance(have, str) else have
    wanted = Port("value", want) if isinstance(want, str) else want
    return list(islice(_best_first(list(_steps(cards)), given, _bare(wanted), each), limit))


def _steps(cards: Iterable[Card]) -> Iterator[tuple[Card, Port]]:
    """The tools that can be a step, each with the port by which it is entered.

    A tool that takes anything at all converts nothing in particular, and is none.
    """
    for card in (form for whole in cards for form in whole.forms()):
        required = [port for port in card.inputs if not port.optional]
        if len(required) != 1 or (required[0].modality == ANY and required[0].variable is None):
            continue
        if card.kind == "converter" or (card.kind == "generator" and required[0].modality == "text"):
            yield card, required[0]


def _best_first(steps: list[tuple[Card, Port]], have: Port, want: Port, each: bool) -> Iterator[Route]:
    """Every route in order of rank.

    A longer route always ranks after the one it extends, so all routes of equal lossy steps, cost and length
    are in the heap before the first of them leaves it, and the names decide.
    """
    if not misfit(have, want):
        yield Route()
        return
    before = _explore(steps, have, want, each)
    ticket = count()  # never compare routes themselves
    heap: list[tuple[_Rank, int, Route, tuple[_Key, ...]]] = [(Route().rank, next(ticket), Route(), (_key(want),))]
    while heap:
        _, _, route, visited = heapq.heappop(heap)
        if visited[0] not in before:
            yield route
            continue
        for step, key in before[visited[0]]:
            if key not in visited:
                longer = Route((step, *route.hops))
                heapq.heappush(heap, (longer.rank, next(ticket), longer, (key, *visited)))


def _explore(steps: list[tuple[Card, Port]], have: Port, want: Port, each: bool) -> dict[_Key, list[tuple[Step, _Key]]]:
    """For each requirement that `have` does not meet itself, the steps that meet it, with what they require.

    Only requirements that `have` can reach are kept, so that the search never walks into a dead end it could
    have known of.
    """
    found: dict[_Key, list[tuple[Step, _Key]]] = {}
    met: set[_Key] = set()
    queue = [want]
    while queue:
        requirement = queue.pop()
        key = _key(requirement)
        if key in found or key in met:
            continue
        if not misfit(have, requirement):
            met.add(key)
            continue
        found[key] = []
        for card, entry in steps:
            for step, required in _backwards(card, entry, requirement, each):
                found[key].append((step, _key(required)))
                queue.append(required)
    live, grown = set(met), True
    while grown:
        more = {key for key, ways in found.items() if key not in live and any(way in live for _, way in ways)}
        live |= more
        grown = bool(more)
    return {key: [(step, way) for step, way in ways if way in live] for key, ways in found.items() if key not in met}


def _backwards(card: Card, entry: Port, wanted: Port, each: bool) -> Iterator[tuple[Step, Port]]:
    """How a card can make `wanted`, and what it then requires itself."""
    for output in card.outputs:
        chosen = _choose(card, output, wanted)
        if chosen is None or (output.many and not wanted.many):
            continue
        modality = _modality(entry, output, wanted)
        if modality is None:
            continue
        defaults = {setting.name: setting.default for setting in card.settings}
        required = _bare(resolve(entry, defaults | chosen, modality if entry.variable else None))
        yield Step(card, entry.name, output.name, chosen), required
        if each and wanted.many and not output.many and not entry.many:
            yield Step(card, entry.name, output.name, chosen, each=True), replace(required, many=True)


def _choose(card: Card, output: Port, wanted: Port) -> dict[str, Scalar] | None:
    """The settings under which `output` meets the constraints of `wanted`, or None if there are none such."""
    chosen: dict[str, Scalar] = {}
    for key, value in wanted.constraints.items():
        made = output.constraints.get(key)
        setting = card.setting(made[1:]) if isinstance(made, str) and made.startswith("$") else None
        if setting is None:
            if made != value:
                return None
            continue
        try:
            setting.check(value, card.name)
        except CardError:
            return None
        if chosen.setdefault(setting.name, value) != value:
            return None
    if any(setting.required and setting.name not in chosen for setting in card.settings):
        return None
    return chosen


def _modality(entry: Port, output: Port, wanted: Port) -> str | None:
    """The modality that has to come in at `entry` for `output` to fit `wanted`, or None if it cannot."""
    if output.variable is not None and output.variable == entry.variable and fits(wanted.modality, output.modality):
        return wanted.modality
    return entry.modality if fits(output.modality, wanted.modality) else None


def _bare(port: Port) -> Port:
    return Port("value", port.modality, port.many, constraints=port.constraints)


def _key(port: Port) -> _Key:
    return port.modality, port.many, frozenset(port.constraints.items())
