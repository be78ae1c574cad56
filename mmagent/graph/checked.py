"""A graph that has been checked: flat, typed, in an order in which it can run. What `check` makes and engines run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mmagent.card import Card, Port, Scalar
from mmagent.graph.spec import GraphSpec, NodeSpec

INPUT = ""
"""The name that stands for the graph itself as the origin of a value: its inputs."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value comes from: output `port` of `node`; of a graph input, `node` is `INPUT` and `port` its name."""

    node: str
    port: str


@dataclass(frozen=True, slots=True)
class Edge:
    """What feeds an input port: one origin, or several for a `list` port. `port` is resolved (no variables, no `$`).

    A list port gets its origins' values in order, the items of those that are lists themselves; the port that a
    node runs `each` of is a list port here.
    """

    port: Port
    origins: tuple[Origin, ...]


@dataclass(frozen=True, slots=True)
class Fallback:
    """A tool that may stand in for a node's own, with the node's settings as far as it has them."""

    card: Card
    settings: Mapping[str, Scalar]


@dataclass(frozen=True, slots=True)
class CheckedNode:
    """One call, ready to plan. In a graph within a graph the name is a path, `outer/inner`.

    `settings` are complete and checked. `outputs` are the card's with variables and `$` resolved, lists where
    `spec.each` is set. `inserted` marks a converter that no spec names. `fallbacks` are `spec.fallback`, found.
    """

    name: str
    card: Card
    settings: Mapping[str, Scalar]
    edges: tuple[Edge, ...]
    outputs: tuple[Port, ...]
    spec: NodeSpec
    inserted: bool = False
    fallbacks: tuple[Fallback, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckedGraph:
    """A checked graph. `nodes` are in topological order and hold only what an output needs.

    An input that no kept node needs is optional here, whatever the spec says. An optional input of a graph
    within the graph that nothing feeds is one more optional input, `outer/inner`.
    """

    spec: GraphSpec
    inputs: Mapping[str, Port]
    nodes: tuple[CheckedNode, ...]
    outputs: Mapping[str, Origin]
    output_ports: Mapping[str, Port]
