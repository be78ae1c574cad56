"""Where the boxes of a drawing go: in columns, from left to right, with long edges led round the boxes between.

The classic layered scheme (Sugiyama, Tagawa and Toda 1981): columns, waypoints for edges that skip some, an
order within columns that crosses few edges, then heights near those of the neighbours. It knows boxes alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

Key = tuple[str, str]
Link = tuple[Key, Key]
Point = tuple[float, float]

_ROW_GAP = 26.0
_LANE = 14.0
"""The height that a passing edge takes in a column."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Upper left corners of boxes, the points each link passes through, and the size of the whole."""

    corners: Mapping[Key, Point]
    bends: Sequence[list[Point]]
    width: float
    height: float


def lay_out(sizes: Mapping[Key, tuple[float, float]], links: Sequence[Link], gaps: Mapping[Link, float]) -> Layout:
    """Place boxes of these sizes (width, height). `gaps` says how much room a link needs before its second box.

    The same arguments give the same layout.
    """
    columns, chains = _columns(sizes, links)
    widths = [max((sizes[key][0] for key in column if key in sizes), default=0.0) for column in columns]
    heights = {key: sizes[key][1] if key in sizes else _LANE for column in columns for key in column}
    place = {key: number for number, column in enumerate(columns) for key in column}
    room = [0.0] * len(columns)
    for link in links:
        room[place[link[1]]] = max(room[place[link[1]]], gaps.get(link, 0.0))
    before: dict[Key, list[Key]] = {key: [] for key in place}
    after: dict[Key, list[Key]] = {key: [] for key in place}
    for chain in chains:
        for one, other in pairwise(chain):
            after[one].append(other)
            before[other].append(one)
    _untangle(columns, before, after)
    middles = _heights(columns, heights, before, after)
    lefts: list[float] = []
    edge = 0.0
    for number, width in enumerate(widths):
        edge += room[number]
        lefts.append(edge)
        edge += width
    corners = {
        key: (lefts[place[key]] + (widths[place[key]] - sizes[key][0]) / 2, middles[key] - heights[key] / 2)
        for key in sizes
    }
    bends = [
        [point for key in chain[1:-1] for point in _through(lefts[place[key]], widths[place[key]], middles[key])]
        for chain in chains
    ]
    height = max((middles[key] + heights[key] / 2 for key in middles), default=0.0)
    return Layout(corners, bends, edge, height)


def _columns(sizes: Mapping[Key, object], links: Sequence[Link]) -> tuple[list[list[Key]], list[list[Key]]]:
    """The columns with waypoints in them, and each link as the chain of what it runs through."""
    import networkx as nx

    graph: nx.DiGraph[Key] = nx.DiGraph()
    graph.add_nodes_from(sizes)
    graph.add_edges_from(links)
    column_of = {key: number for number, keys in enumerate(nx.topological_generations(graph)) for key in keys}
    for key in sizes:
        if not graph.in_degree(key) and graph.out_degree(key):  # what needs nothing stands next to what needs it
            column_of[key] = min(column_of[other] for other in graph.successors(key)) - 1
    columns: list[list[Key]] = [[] for _ in range(max(column_of.values(), default=-1) + 1)]
    for key in sizes:
        columns[column_of[key]].append(key)
    chains: list[list[Key]] = []
    for number, (one, other) in enumerate(links):
        between: list[Key] = []
        for column in range(column_of[one] + 1, column_of[other]):
            between.append(("bend", f"{number}:{column}"))
            columns[column].append(between[-1])
        chains.append([one, *between, other])
    return columns, chains


def _untangle(
    columns: list[list[Key]], before: Mapping[Key, Sequence[Key]], after: Mapping[Key, Sequence[Key]]
) -> None:
    """Order each column by the mean place of its neighbours, forth and back a few times."""
    for sweep in range(6):
        forth = sweep % 2 == 0
        neighbours = before if forth else after
        for number in range(len(columns)) if forth else reversed(range(len(columns))):
            other = number - 1 if forth else number + 1
            if not 0 <= other < len(columns):
                continue
            rank = {key: place for place, key in enumerate(columns[other])}
            own = {key: place for place, key in enumerate(columns[number])}
            mean = {
                key: sum(rank[near] for near in neighbours[key]) / len(neighbours[key])
                if neighbours[key]
                else float(own[key])
                for key in columns[number]
            }
            columns[number].sort(key=lambda key, mean=mean, own=own: (mean[key], own[key]))  # type: ignore[misc]  # mypy cannot infer defaults


def _heights(
    columns: Sequence[Sequence[Key]],
    heights: Mapping[Key, float],
    before: Mapping[Key, Sequence[Key]],
    after: Mapping[Key, Sequence[Key]],
) -> dict[Key, float]:
    """The middle of each box: where its neighbours' mean would have it, as far as there is room."""
    middles: dict[Key, float] = {}
    for column in columns:
        _stack(column, dict.fromkeys(column, 0.0), heights, middles)
    for sweep in range(8):
        neighbours = before if sweep % 2 == 0 else after
        for column in columns if sweep % 2 == 0 else reversed(columns):
            wishes = {
                key: sum(middles[near] for near in neighbours[key]) / len(neighbours[key])
                if neighbours[key]
                else middles[key]
                for key in column
            }
            _stack(column, wishes, heights, middles)
    top = min((middles[key] - heights[key] / 2 for key in middles), default=0.0)
    return {key: middle - top for key, middle in middles.items()}


def _stack(
    column: Sequence[Key], wishes: Mapping[Key, float], heights: Mapping[Key, float], middles: dict[Key, float]
) -> None:
    """Place a column as near to its wishes as its boxes allow: pushed down in order, then moved back as one."""
    floor = float("-inf")
    for key in column:
        middles[key] = max(wishes[key], floor + heights[key] / 2)
        floor = middles[key] + heights[key] / 2 + _ROW_GAP
    if column:
        shift = sum(middles[key] - wishes[key] for key in column) / len(column)
        for key in column:
            middles[key] -= shift


def _through(left: float, width: float, middle: float) -> tuple[Point, Point]:
    return (left, middle), (left + width, middle)
