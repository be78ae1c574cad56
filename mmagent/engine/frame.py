"""A graph while it runs: its values, who still waits for what, and how much is left."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any

from mmagent.engine import keys
from mmagent.engine.plan import NodePlan, Plan, Take
from mmagent.errors import RunError
from mmagent.media import Media

if TYPE_CHECKING:
    from mmagent.engine.result import Output


class Lost(Enum):
    """Stands in a slot for a value that a failure took away; a slot of something left out holds None."""

    LOST = 0


LOST = Lost.LOST


class Frame:
    """One graph of a run: the run's own, or one that was spliced in, which is then known by its `place`.

    Values of `list` ports are tuples here, so that no tool can change what another one is given. `base` is
    added to a node's index, plus one, to give its span. The fields that change belong to the run's lock.
    """

    __slots__ = (
        "base", "done", "failures", "groups_left", "groups_open", "left", "owner", "parent", "path", "place", "plan",
        "seed", "spliced", "values", "waits",
    )  # fmt: skip

    def __init__(
        self, plan: Plan, inputs: Mapping[str, Any], seed: int, base: int = 0, parent: int = 0, path: str = ""
    ) -> None:
        self.plan, self.seed, self.base, self.parent, self.path = plan, seed, base, parent, path
        self.place, self.owner = "", 0
        self.values: list[Any] = [None] * plan.size
        for name, value in inputs.items():
            self.values[plan.inputs[name][0]] = tuple(value) if isinstance(value, list) else value
        self.waits = list(plan.waits)
        self.left = len(plan.nodes)
        self.done = not plan.nodes
        self.failures: dict[str, RunError] = {}
        self.spliced: dict[str, Frame] = {}
        self.groups_left = [0] * len(plan.groups)
        self.groups_open = [False] * len(plan.groups)
        if plan.groups:
            for group in (group for node in plan.nodes for group in node.groups):
                self.groups_left[group] += 1

    @property
    def spans(self) -> int:
        """How many spans it takes up: one a node and one a nested graph."""
        return len(self.plan.nodes) + len(self.plan.groups)

    def name(self, name: str) -> str:
        """A node's name as the run knows it: under the place where this graph was spliced in."""
        return f"{self.path}{name}" if self.path else name

    def span(self, node: NodePlan) -> int:
        """The number of the node's span."""
        return self.base + node.index + 1

    def group_span(self, group: int) -> int:
        """The number of a nested graph's span."""
        return self.base + len(self.plan.nodes) + group + 1

    def parent_of(self, node: NodePlan) -> int:
        """The span that the node lies in: that of the innermost nested graph, or of what spliced this graph in."""
        return self.group_span(node.groups[-1]) if node.groups else self.parent

    def seed_of(self, node: NodePlan) -> int:
        """The node's own seed, or the one derived from the run's."""
        return node.seed if node.seed is not None else keys.derive_seed(self.seed, self.name(node.name))

    def take(self, take: Take) -> Any:
        """What has come for an input port: a medium, a list without what is absent, None, or LOST."""
        if not take.gate.port.many:
            return self.values[take.slots[0]]
        found: list[Media] = []
        there = False
        for slot, listed in zip(take.slots, take.listed):
            value = self.values[slot]
            if value is LOST:
                return LOST
            if value is not None:
                there = True
                found.extend(value if listed else (value,))
        return found if there or not take.gate.port.optional else None

    def fill(self, node: NodePlan, values: tuple[Any, ...], ready: deque[tuple[Frame, int]]) -> bool:
        """Put a node's outputs in their slots, and into `ready` what waited for it alone; whether it was the last."""
        for slot, value in zip(node.slots, values):
            self.values[slot] = value
        waits = self.waits
        for index in node.successors:
            left = waits[index] = waits[index] - 1
            if not left:
                ready.append((self, index))
        self.left -= 1
        self.done = not self.left
        return self.done

    def first(self) -> deque[tuple[Frame, int]]:
        """The nodes that wait for no other."""
        return deque([(self, index) for index in self.plan.first])

    def enter(self, group: int) -> bool:
        """A node of a nested graph starts: whether it is the first."""
        first = not self.groups_open[group]
        self.groups_open[group] = True
        return first

    def quit(self, group: int) -> bool:
        """A node of a nested graph has ended: whether it was the last."""
        self.groups_left[group] -= 1
        return self.groups_left[group] == 0

    def outputs(self) -> dict[str, Output]:
        """The graph's outputs so far; those that are lost, or not there yet, are absent."""
        found: dict[str, Output] = {}
        for name, (slot, _) in self.plan.outputs.items():
            value = self.values[slot]
            if value is not LOST and (self.done or value is not None):
                found[name] = list(value) if type(value) is tuple else value
        return found
