"""A node that runs once per item of a list: its calls, and the lists that they make."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from mmagent.engine import keys
from mmagent.errors import RunError

if TYPE_CHECKING:
    from mmagent.engine.frame import Frame
    from mmagent.engine.job import Job, Ready
    from mmagent.engine.plan import NodePlan
    from mmagent.engine.scheduler import Run


class Items:
    """The calls of one node over a list, `name[0]`, `name[1]` …; each output becomes the list of theirs, in order.

    They run side by side as far as the tool's concurrency allows, each with a span, a seed and a recipe of its
    own. When one fails the others still end; then the node fails with the first failure in order.
    """

    def __init__(self, run: Run, frame: Frame, node: NodePlan, inputs: Mapping[str, Any]) -> None:
        self._run, self._frame, self._node, self._inputs = run, frame, node, inputs
        self._items = inputs[node.each or ""] or ()
        self._outcomes: list[Any] = [None] * len(self._items)
        self._left = len(self._items)
        self._name, self._span = frame.name(node.name), frame.span(node)

    def jobs(self, ready: Ready) -> list[Job]:
        """One call an item; for an empty list none, and the node has ended with empty lists."""
        self._tell("started")
        if not self._items:
            self._end(ready)
            return []
        from mmagent.engine.job import Job

        node, frame = self._node, self._frame
        base = self._run.spans(len(self._items))
        seed = frame.seed_of(node)
        return [
            Job(
                self._run,
                frame,
                node,
                {**self._inputs, node.each or "": item},
                partial(self._done, index),
                name=f"{self._name}[{index}]",
                span=base + index + 1,
                parent=self._span,
                seed=keys.derive_seed(seed, f"[{index}]"),
            )
            for index, item in enumerate(self._items)
        ]

    def _done(self, index: int, outcome: tuple[Any, ...] | RunError, ready: Ready) -> None:
        with self._run.lock:
            self._outcomes[index] = outcome
            self._left -= 1
            if self._left:
                return
        self._end(ready)

    def _end(self, ready: Ready) -> None:
        failure = next((item for item in self._outcomes if isinstance(item, RunError)), None)
        if failure is not None:
            self._tell("failed", failure)
            self._run.settle(self._frame, self._node, failure, ready)
            return
        lists = tuple(
            tuple(
                item
                for outcome in self._outcomes
                for item in (outcome[port] if isinstance(outcome[port], tuple) else (outcome[port],))
                if item is not None
            )
            for port in range(len(self._node.slots))
        )
        gates = self._node.own.returns
        self._tell("finished", {gate.port.name: list(value) for gate, value in zip(gates, lists)})
        self._run.settle(self._frame, self._node, lists, ready)

    def _tell(self, kind: Any, data: Any = None) -> None:
        parent = self._frame.parent_of(self._node)
        self._run.log.emit(kind, self._span, parent, self._name, self._node.tool, data)
