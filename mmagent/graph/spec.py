"""What a graph is, as plain frozen data: inputs, nodes, edges by name, outputs.

It knows no tool and no card; `check` joins it with those, `yaml` reads and writes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from mmagent.card import Port, Scalar

Source = str
"""Where a value comes from: `picture` (a graph input), `tags.text` (a node's output) or `tags` (its only output)."""


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """One call of a tool.

    `inputs` maps each input port to its source, or to several for a `list` port. `timeout` is in seconds
    without progress. `retries` repeats a failed call; `fallback` names tools with the same ports that are tried
    next, in order. `seed` fixes the node's seed, which is otherwise derived from the run's. `each` names a port
    that takes one value and is fed a list: the tool runs once for every item, and each output is the list of
    what the calls made, in their order.
    """

    tool: str
    inputs: Mapping[str, Source | tuple[Source, ...]] = field(default_factory=dict)
    settings: Mapping[str, Scalar] = field(default_factory=dict)
    retries: int = 0
    timeout: float | None = None
    fallback: tuple[str, ...] = ()
    seed: int | None = None
    each: str | None = None


@dataclass(frozen=True, slots=True)
class GraphSpec:
    """A typed DAG of tools, by name. `lossy` allows lossy converters to be inserted on edges that do not fit."""

    name: str
    inputs: Mapping[str, Port] = field(default_factory=dict)
    nodes: Mapping[str, NodeSpec] = field(default_factory=dict)
    outputs: Mapping[str, Source] = field(default_factory=dict)
    doc: str = ""
    lossy: bool = False
    origin: str = ""
    """The file it was read from, for messages; not part of what the graph is."""

    def without_origin(self) -> GraphSpec:
        """The same graph as a value that compares by content alone."""
        return replace(self, origin="")
