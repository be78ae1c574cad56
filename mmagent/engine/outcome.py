"""From what a tool returned or yielded to the values of its output ports, and from values to its arguments."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from blake3 import blake3

from mmagent.card import Card
from mmagent.engine.context import CallContext
from mmagent.engine.plan import Variant
from mmagent.errors import MediaError
from mmagent.media import Embedding, Media


def arguments(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values by port as tools and callers get them: lists are lists of their own."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


class _Yielded:
    """The output of a tool that yields: all the items for a `list` port, the last one for any other.

    Media are published as previews as they come; what is not media is published as said, and is no output.
    """

    def __init__(self, card: Card, context: CallContext) -> None:
        self._many = card.outputs[0].many
        self._context = context
        self._items: list[Any] = []
        self._last: Any = None

    def add(self, item: Any) -> None:
        self._context.check()
        if isinstance(item, tuple) and hasattr(item, "_fields") and any(isinstance(part, Media) for part in item):
            self._last = item
        elif isinstance(item, list):
            for part in item:
                self.add(part)
        elif isinstance(item, Media):
            self._context.preview(item)
            self._items.append(item)
            self._last = item
        else:
            self._context.tell("said", item)

    @property
    def output(self) -> Any:
        return self._items if self._many else self._last


def collect(items: Iterator[Any], card: Card, context: CallContext) -> Any:
    """Run a generator tool to its end, or until it is told to stop; its output."""
    found = _Yielded(card, context)
    try:
        for item in items:
            found.add(item)
    finally:
        close = getattr(items, "close", None)
        if close is not None:
            close()
    return found.output


async def collect_async(items: AsyncIterator[Any], card: Card, context: CallContext) -> Any:
    """The same for an async generator tool."""
    found = _Yielded(card, context)
    try:
        async for item in items:
            found.add(item)
    finally:
        close = getattr(items, "aclose", None)
        if close is not None:
            await close()
    return found.output


def check(result: Any, variant: Variant, key: str, inputs: Mapping[str, Any]) -> tuple[Any, ...]:
    """A tool's result as one value a port, lists as tuples; MediaError if it is not what the card promises."""
    gates = variant.returns
    named = isinstance(result, tuple) and hasattr(result, "_fields")
    if len(gates) == 1:
        values = (result[0],) if named and len(result) == 1 else (result,)
    elif named and len(result) == len(gates):
        values = tuple(result)
    else:
        ports = ", ".join(gate.port.name for gate in gates)
        raise MediaError(f"its output: expected a NamedTuple of {ports}, got {type(result).__name__}")
    for gate, value in zip(gates, values):
        gate.check(value, "its output")
    given = {id(item) for value in inputs.values() for item in (value if isinstance(value, list | tuple) else (value,))}
    single = len(gates) == 1

    def finished(value: Any, place: str) -> Any:
        if isinstance(value, list | tuple):
            return tuple(finished(item, f"{place}\0{index}") for index, item in enumerate(value))
        if type(value) is Embedding and variant.card.cacheable and id(value) not in given:
            digest = key if not place else blake3(f"{key}{place}".encode()).hexdigest()
            return Embedding(value.array, value.space, value.mask, digest=digest)
        return value

    return tuple(finished(value, "" if single else f"\0{gate.port.name}") for gate, value in zip(gates, values))
