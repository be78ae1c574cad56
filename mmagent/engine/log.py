"""What happened in a run, kept in order and told to a listener as it happens."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import perf_counter
from typing import Any

from mmagent.engine.events import Event
from mmagent.engine.record import Brief, Note, Record

Listener = Callable[[Event], object]


class Log:
    """The notes of a run. Listeners hear one event at a time; one that raises is not called again, `broken` is."""

    def __init__(self, listener: Listener | None, broken: Callable[[BaseException], None]) -> None:
        self.began = perf_counter()
        self.notes: list[Note] = []
        self._listener = listener
        self._broken: Callable[[BaseException], None] | None = broken
        # Reentrant, for a listener may cancel the run, which tells of it.
        self._telling = threading.RLock() if listener is not None else None

    def close(self) -> None:
        """Nobody listens any more; lets go of the run, which holds this log."""
        self._listener = self._broken = None

    def now(self) -> float:
        """Seconds since the run began."""
        return perf_counter() - self.began

    def emit(self, kind: Any, span: int, parent: int, node: str, tool: str, data: Any = None) -> None:
        """Tell that something happens now."""
        event = Event._make((kind, span, parent, node, tool, perf_counter() - self.began, data))
        self.notes.append(event) if self._telling is None else self._tell(self._telling, event, (event,))

    def end(self, record: Record) -> None:
        """Tell that a call has ended."""
        self.notes.append(record) if self._telling is None else self._tell(self._telling, record, (record.event,))

    def brief(self, brief: Brief) -> None:
        """Tell that a simple node has begun and ended."""
        self.notes.append(brief) if self._telling is None else self._tell(self._telling, brief, brief.events)

    def _tell(self, telling: threading.RLock, note: Note, events: tuple[Event, ...]) -> None:
        with telling:
            self.notes.append(note)
            for event in events:
                if self._listener is None:
                    return
                try:
                    self._listener(event)
                except BaseException as error:
                    self._listener = None
                    if self._broken is not None:
                        self._broken(error)
