"""From what a tool returned or yielded to the values of its output ports, and from values to its arguments."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

from blake3 import blake3

from mmagent.card import Card
from mmagent.engine.context import CallContext
from mmagent.engine.variant import Variant
from mmagent.errors import MediaError
from mmagent.media import Embedding, Media

Tell = Callable[[Any, Any], None]


def arguments(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values by port as tools and callers get them: lists are lists of their own."""
    return {name: list(value) if type(value) is tuple else value for name, value in values.items()}


class _Yielded:
    """The output of a tool that yields: all the items for a `list` port, the last one for any other.

    Media are published as previews as they come; what is not media is published as said, and is no output.
    """

    def __init__(self, card: Card, context: CallContext, tell: Tell) -> None:
        self._port = card.outputs[0]
        self._context, self._tell = context, tell
        self._items: list[Any] = []
        self._last: Any = None
        self._other = ""

    def add(self, item: Any) -> None:
        self._context.check()
        if isinstance(item, tuple) and hasattr(item, "_fields") and any(isinstance(part, Media) for part in item):
            self._last = item
        elif isinstance(item, list):
            for part in item:
                self.add(part)
        elif isinstance(item, Media):
            self._tell("preview", item)
            self._items.append(item)
            self._last = item
        else:
            self._tell("said", item)
            self._other = type(item).__name__

    @property
    def output(self) -> Any:
        port = self._port
        if self._last is None and self._other and not (port.many or port.optional):
            raise MediaError(
                f"its output, port {port.name}: expected {port}, yielded {self._other}, which is not media"
            )
        return self._items if port.many else self._last


def collect(items: Iterator[Any], card: Card, context: CallContext, tell: Tell) -> Any:
    """Run a generator tool to its end, or until it is told to stop; its output."""
    found = _Yielded(card, context, tell)
    try:
        for item in items:
            found.add(item)
    finally:
        close = getattr(items, "close", None)
        if close is not None:
            close()
    return found.output


async def collect_async(items: AsyncIterator[Any], card: Card, context: CallContext, tell: Tell) -> Any:
    """The same for an async generator tool."""
    found = _Yielded(card, context, tell)
    try:
        async for item in items:
            found.add(item)
    finally:
        close = getattr(items, "aclose", None)
        if close is not None:
            await close()
    return found.output


def check(result: Any, variant: Variant, key: str, inputs: Mapping[str, Any]) -> tuple[Any, ...]:
    """A tool's result as one value a port, lists as tuples; MediaError if it is not what the card promises.

    Embeddings get the call's recipe key as their digest, so that they need not be hashed.
    """
    gates = variant.returns
    if len(gates) == 1 and type(result) in gates[0].types and not gates[0].port.many and type(result) is not Embedding:
        return (result,)
    values = _by_port(result, variant)
    for gate, value in zip(gates, values):
        gate.check(value, "its output")
    if not variant.card.cacheable:  # the same key, another result: a digest of its own
        return tuple(tuple(value) if isinstance(value, list) else value for value in values)
    given = {id(item) for value in inputs.values() for item in (value if isinstance(value, list | tuple) else (value,))}
    return tuple(
        _signed(value, key if len(gates) == 1 else f"{key}\0{gate.port.name}", key, given)
        for gate, value in zip(gates, values)
    )


def _by_port(result: Any, variant: Variant) -> tuple[Any, ...]:
    gates = variant.returns
    named = isinstance(result, tuple) and hasattr(result, "_fields")
    if len(gates) == 1:
        return (result[0],) if named and len(result) == 1 else (result,)
    if named and len(result) == len(gates):
        return tuple(result)
    ports = ", ".join(gate.port.name for gate in gates)
    raise MediaError(f"its output: expected a NamedTuple of {ports}, got {type(result).__name__}")


def _signed(value: Any, place: str, key: str, given: set[int]) -> Any:
    """A port's value with the digests of its embeddings set: the key itself if the call makes but one of them."""
    if isinstance(value, list | tuple):
        return tuple(_signed(item, f"{place}\0{index}", key, given) for index, item in enumerate(value))
    if type(value) is not Embedding or id(value) in given:
        return value
    digest = key if place == key else blake3(place.encode()).hexdigest()
    return Embedding(value.array, value.space, value.mask, digest=digest)
