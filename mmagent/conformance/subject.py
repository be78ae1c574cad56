"""The tool under test with the inputs and settings that it is tried on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mmagent.card import Card, Scalar
from mmagent.conformance.call import Caller, Probe, Value
from mmagent.conformance.results import digests
from mmagent.conformance.samples import sample
from mmagent.media import Media
from mmagent.tool import Instance, ToolType


class Fails(Exception):
    """The tool is not what its card says; the message is the reason."""


class Skip(Exception):
    """The card does not claim what the check is about."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The tool under test, with the settings and inputs that it is tried on. `bound`: seconds to stop in."""

    tool: ToolType
    settings: Mapping[str, Scalar]
    given: Mapping[str, Sequence[Media]]
    caller: Caller
    file: Path | None
    bound: float

    @property
    def card(self) -> Card:
        return self.tool.card_for(self.settings)

    @property
    def findable(self) -> bool:
        """Whether another process can import the tool: from its file, or by its name from a shelf."""
        from mmagent.errors import RegistryError
        from mmagent.registry import registry

        if self.file is not None:
            return True
        try:
            return registry.find(self.card.name) == self.tool
        except RegistryError:
            return False

    def inputs(self, variant: int = 0, *, optional: bool = True, form: int = 0) -> dict[str, Value]:
        """Values for all input ports, generated where none is given; without `optional` only what must be there.

        `form` says which of the ports is there of which only one may be.
        """
        found: dict[str, Value] = {}
        for port in self.card.forms()[form].inputs:
            if port.optional and not optional:
                continue
            given = self.given.get(port.name)
            if port.many:
                found[port.name] = list(given or [sample(port, self.settings, 2 * variant + n) for n in range(2)])
            else:
                found[port.name] = given[0] if given else sample(port, self.settings, variant)
        return found

    @contextmanager
    def loaded(self) -> Iterator[Instance]:
        """A fresh instance, loaded, and unloaded afterwards."""
        instance = self.tool.make(self.settings)
        instance.load()
        try:
            yield instance
        finally:
            instance.unload()

    def run(self, instance: Instance, variant: int = 0) -> list[str]:
        """The digests of one call with the variant's inputs and seed."""
        result = self.caller.call(instance, self.inputs(variant), self.settings, Probe(seed=variant))
        return digests(self.card, result)
