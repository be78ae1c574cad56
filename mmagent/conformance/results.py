"""What a call returned, held against the tool's card."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mmagent.card import Card, Port, Scalar
from mmagent.conformance.call import Value
from mmagent.conformance.samples import resolve, unmet
from mmagent.media import Media, fits


def by_port(card: Card, result: object) -> dict[str, object]:
    """One result as values by output port: the fields of a NamedTuple, or the value itself."""
    if isinstance(result, tuple) and hasattr(result, "_asdict"):
        return dict(result._asdict())
    return {card.outputs[0].name: result}


def faults(
    card: Card, results: Sequence[object], inputs: Mapping[str, Value], settings: Mapping[str, Scalar]
) -> list[str]:
    """Everything in which the results differ from what the card promises; empty if nothing does."""
    found: list[str] = []
    for result in results:
        values = by_port(card, result)
        wanted = {port.name for port in card.outputs}
        if set(values) != wanted:
            found.append(f"returned {_names(values)}, the card promises {_names(wanted)}")
            continue
        for port in card.outputs:
            found += [
                f"port {port.name}: {fault}" for fault in _port_faults(card, port, values[port.name], inputs, settings)
            ]
    return found


def digests(card: Card, results: Sequence[object]) -> list[str]:
    """The digests of everything in the results, in order: equal lists mean equal results."""
    found: list[str] = []
    for result in results:
        for name, value in by_port(card, result).items():
            items = value if isinstance(value, list) else [value]
            found += [f"{name}:{item.digest if isinstance(item, Media) else item}" for item in items]
    return found


def _port_faults(
    card: Card, port: Port, value: object, inputs: Mapping[str, Value], settings: Mapping[str, Scalar]
) -> list[str]:
    if value is None:
        return [] if port.optional else [f"expected {port}, got nothing; annotate the result `| None` if it may be"]
    if port.many != isinstance(value, list):
        return [f"expected {port}, got {_kind(value)}"]
    wanted = resolve(port.constraints, settings)
    expected = _bound(card, port, inputs) or port.modality
    found = []
    for item in value if isinstance(value, list) else [value]:
        if not isinstance(item, Media) or not fits(item.modality, expected):
            found.append(f"expected {expected}, got {_kind(item)}")
        else:
            found += [f"expected {miss}" for miss in unmet(item, wanted)]
    return found


def _bound(card: Card, port: Port, inputs: Mapping[str, Value]) -> str | None:
    """The modality that a port's variable stands for: that of the first value in an input which shares it."""
    sharing = [item.name for item in card.inputs if port.variable and item.variable == port.variable]
    for value in map(inputs.get, sharing):
        for item in value if isinstance(value, list) else [value]:
            if item is not None:
                return item.modality
    return None


def _kind(value: object) -> str:
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return value.modality if isinstance(value, Media) else type(value).__name__


def _names(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
