"""Runtime checks of the values that cross an edge: modality, constraints, lists, nothing.

Graphs are checked when they are built; what a tool really returns, and what a caller really passes, is only
known here.
"""

from __future__ import annotations

from typing import Any

from mmagent.card import Port
from mmagent.errors import MediaError
from mmagent.media import MODALITIES, Media, fits


class Gate:
    """Lets values into a port.

    `types` are classes known to fit one value of it, and `single` the same unless it holds a list; with
    constraints, which only the value itself can meet, they stay empty.
    """

    __slots__ = ("_wanted", "port", "single", "types")

    def __init__(self, port: Port) -> None:
        self.port = port
        self._wanted = {key: value for key, value in port.constraints.items() if value is not None}
        own = MODALITIES.get(port.modality)
        self.types: set[type] = {own} if own is not None and not self._wanted else set()
        self.single: set[type] = set() if port.many else self.types

    def check(self, value: Any, where: str) -> None:
        """Raise MediaError, naming `where` and the port, unless `value` may stand in the port."""
        got = self.refusal(value)
        if got:
            raise MediaError(f"{where}, port {self.port.name}: expected {self.port}, got {got}")

    def check_each(self, values: Any, where: str) -> None:
        """The same for every item of a list that the port is fed one by one."""
        for index, item in enumerate(values):
            got = self.item(item)
            if got:
                raise MediaError(f"{where}, port {self.port.name}: expected {self.port}, got {got} at position {index}")

    def refusal(self, value: Any) -> str:
        """What was got instead of what the port takes; empty if the value fits."""
        if value is None:
            return "" if self.port.optional else "nothing"
        if not self.port.many:
            return self.item(value)
        if not isinstance(value, list | tuple):
            return _shown(value)
        wrong = ((index, self.item(item)) for index, item in enumerate(value))
        return next((f"{got} at position {index}" for index, got in wrong if got), "")

    def item(self, value: Any) -> str:
        """The same for one medium, whether or not the port holds a list."""
        if type(value) in self.types:
            return ""
        if not isinstance(value, Media) or not fits(value.modality, self.port.modality):
            return _shown(value)
        if not self._wanted:
            self.types.add(type(value))
            return ""
        facts = value.describe()
        wrong = [f"{key}={facts.get(key)!r}" for key, wanted in self._wanted.items() if facts.get(key) != wanted]
        return f"{value.modality} with {', '.join(wrong)}" if wrong else ""


def _shown(value: Any) -> str:
    """A value in an error: by modality or class, never by content."""
    if isinstance(value, Media):
        return value.modality
    if isinstance(value, list | tuple):
        return f"a {type(value).__name__} of {len(value)}"
    return f"{type(value).__name__}, which is not media"
