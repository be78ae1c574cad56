"""What a reply takes of a model that counts: tokens over all of its requests, and their price."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mmagent.conversation import Usage

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage

    from mmagent.model.chat.spec import PriceSpec

MILLION = 1_000_000


class Meter:
    """Counts the requests of one reply; providers tell their tokens in any of the chunks, each token once."""

    def __init__(self, price: PriceSpec | None) -> None:
        self._price = price
        self._read = self._written = 0
        self._requests = 0
        self._counted: set[int] = set()
        self.told: list[str] = []

    def begin(self) -> None:
        """Another request begins."""
        self._requests += 1

    def count(self, message: AIMessage) -> None:
        """Add what a chunk or message tells."""
        found = message.usage_metadata
        if found is not None:
            self._counted.add(self._requests)
            self._read += found["input_tokens"]
            self._written += found["output_tokens"]

    def usage(self) -> Usage:
        """The sum; without tokens where the provider did not tell those of every request."""
        if len(self._counted) < self._requests:
            return Usage(calls=self._requests, told=tuple(self.told))
        usage = Usage(self._read, self._written, calls=self._requests, told=tuple(self.told))
        if self._price is None:
            return usage
        cost = (self._read * self._price.input + self._written * self._price.output) / MILLION
        return replace(usage, cost=cost, currency=self._price.currency)
