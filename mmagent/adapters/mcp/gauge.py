"""How far a run is, out of its events: one number that only grows, as the protocol wants it."""

from __future__ import annotations

from mmagent.engine import Event

_ENDS = frozenset({"finished", "cached", "failed", "skipped"})


class Gauge:
    """Counts the `total` calls of a run, and of one that is going on the fraction that it says."""

    def __init__(self, total: int) -> None:
        self.total = float(max(total, 1))
        self._parts: dict[int, float] = {}
        self._told = 0.0

    def see(self, event: Event) -> tuple[float, str] | None:
        """How many calls are done after `event`, and what to say of it; None if that is no more than was told before."""
        if not event.tool:  # a group of nodes, which are counted themselves
            return None
        note = ""
        if event.kind in _ENDS:
            self._parts[event.span] = 1.0
        elif event.kind == "progress":
            done, whole, note = event.data
            self._parts[event.span] = min(max(done / whole, 0.0), 1.0) if whole > 0 else 0.0
        done = min(sum(self._parts.values()), self.total)
        if done <= self._told:
            return None
        self._told = done
        return done, note or event.node
