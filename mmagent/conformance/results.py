"""What a call returned, held against the tool's card, by the same gates that the engine holds it against."""

from __future__ import annotations

from collections.abc import Mapping

from mmagent.card import Card, Scalar
from mmagent.conformance.call import Value
from mmagent.engine.ports import Gate
from mmagent.graph.ports import resolve
from mmagent.media import Media


def by_port(card: Card, result: object) -> dict[str, object]:
    """A result as values by output port: the fields of a NamedTuple, or the value itself."""
    if isinstance(result, tuple) and hasattr(result, "_asdict"):
        return dict(result._asdict())
    return {card.outputs[0].name: result}


def faults(card: Card, result: object, inputs: Mapping[str, Value], settings: Mapping[str, Scalar]) -> list[str]:
    """Everything in which the result differs from what the card promises; empty if nothing does."""
    values = by_port(card, result)
    wanted = {port.name: resolve(port, settings, _bound(card, port.variable, inputs)) for port in card.outputs}
    if set(values) != set(wanted):
        return [f"returned {', '.join(sorted(values))}, the card promises {', '.join(sorted(wanted))}"]
    found = []
    for name, port in wanted.items():
        got = Gate(port).refusal(values[name])
        if got:
            found.append(f"port {name}: expected {port}, got {got}")
    return found


def digests(card: Card, result: object) -> list[str]:
    """The digests of everything in the result, in order: equal lists mean equal results."""
    found: list[str] = []
    for name, value in by_port(card, result).items():
        items = value if isinstance(value, list | tuple) else [value]
        found += [f"{name}:{item.digest if isinstance(item, Media) else item}" for item in items]
    return found


def _bound(card: Card, variable: str | None, inputs: Mapping[str, Value]) -> str | None:
    """The modality that a variable stands for: that of the first value in an input which shares it."""
    sharing = [port.name for port in card.inputs if variable and port.variable == variable]
    for value in map(inputs.get, sharing):
        for item in value if isinstance(value, list) else [value]:
            if item is not None:
                return item.modality
    return None
