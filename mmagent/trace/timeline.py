"""The timeline: a bar for every call on one axis of seconds, and marks for when things reached the caller."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from mmagent.engine.events import Call
from mmagent.trace.anchors import call_id, number, part_id, route_id
from mmagent.trace.calls import depths, status_class
from mmagent.trace.data import Trace
from mmagent.trace.markup import Html, element
from mmagent.trace.words import duration

NEAR = 0.05
"""Marks closer than this share of the axis are put into different lanes."""


class Mark(NamedTuple):
    """A moment: a short sign for the axis, its name in words, and when it was."""

    sign: str
    name: str
    seconds: float
    href: str | None = None


def timeline(trace: Trace) -> Html:
    """Rows of marks, then one row for each call, all on the same axis."""
    marks = {"first": _firsts(trace), "signals": _signals(trace), "parts": _parts(trace)}
    ends = [call.started + call.seconds for call in trace.calls]
    end = max([trace.seconds, *ends, *(mark.seconds for row in marks.values() for mark in row)], default=0.0)
    if end <= 0:
        return element("p", "Nothing was timed.", class_="none")
    ticks = [element("span", _tick(at, end), style=f"--at:{at / end:.4f}") for at in axis(end)]
    rows = [_row("", element("span", ticks, class_="ticks"), "axis", hidden=True)]
    rows += [_marks(name, row, end) for name, row in marks.items() if row]
    for index, step in enumerate(trace.steps):
        nested = depths(step.calls)
        rows += [_bar(call_id(index, call), call, nested[call.span], end) for call in step.begun]
    return element("ol", rows, class_="timeline")


def axis(end: float) -> list[float]:
    """Round numbers of seconds from 0 to `end`, three to eight of them.

    >>> axis(3.4)
    [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0]
    """
    rough = end / 7
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    return [round(step * number, 9) for number in range(int(end / step + 1e-9) + 1)]


def _tick(at: float, end: float) -> str:
    return f"{at:g} s" if end >= 1 else f"{at * 1000:g} ms"


def lanes(times: Sequence[float], gap: float) -> list[int]:
    """The first lane in which each time has no neighbour nearer than `gap`.

    >>> lanes([0.0, 0.1, 1.0], gap=0.5)
    [0, 1, 0]
    """
    last: list[float] = []
    placed = [0] * len(times)
    for index in sorted(range(len(times)), key=times.__getitem__):
        free = (lane for lane, at in enumerate(last) if times[index] - at >= gap)
        lane = next(free, len(last))
        last[lane : lane + 1] = [times[index]]
        placed[index] = lane
    return placed


def _firsts(trace: Trace) -> list[Mark]:
    found = (("T", "first token", trace.first_token), ("A", "first audio", trace.first_audio))
    return [Mark(sign, name, at) for sign, name, at in found if at is not None]


def _signals(trace: Trace) -> list[Mark]:
    return [
        Mark(number(part) if part else "?", f"{route.modality} asked for", route.seconds, f"#{route_id(index)}")
        for index, (route, part) in enumerate(trace.signals)
    ]


def _parts(trace: Trace) -> list[Mark]:
    return [
        Mark(number(part), f"{part.modality} {'failed' if part.error else 'there'}", part.seconds, f"#{part_id(part)}")
        for part in trace.parts
    ]


def _marks(name: str, marks: Sequence[Mark], end: float) -> Html:
    placed = lanes([mark.seconds for mark in marks], NEAR * end)
    shown = [
        element(
            "a" if mark.href else "span",
            element("span", mark.sign, aria_hidden="true"),
            element("span", f"{mark.name}: {duration(mark.seconds)}", class_="tip"),
            href=mark.href, class_="mark", style=f"--at:{mark.seconds / end:.4f};--lane:{lane}",
        )
        for mark, lane in zip(marks, placed)
    ]  # fmt: skip
    return _row(name, element("span", shown, class_="marks", style=f"--lanes:{max(placed) + 1}"), f"marks of-{name}")


def _bar(anchor: str, call: Call, depth: int, end: float) -> Html:
    begin, done = call.started, call.started + call.seconds
    spoken = f"{call.node}, {call.status}: {duration(begin)} to {duration(done)}"
    word = duration(call.seconds) if call.status == "finished" else call.status
    room = "after" if done < 0.85 * end else "before" if begin > 0.15 * end else "inside"
    bar = element(
        "a", element("span", word, aria_hidden="true", class_=room),
        href=f"#{anchor}", aria_label=spoken, title=spoken, class_=f"bar {status_class(call.status)}",
        style=f"--at:{begin / end:.4f};--long:{call.seconds / end:.4f}",
    )  # fmt: skip
    label = element("span", call.node, style=f"--depth:{depth}", title=f"{call.node} ({call.tool})")
    return _row(label, bar, "call", call=anchor)


def _row(label: str, content: Html, what: str, hidden: bool = False, call: str | None = None) -> Html:
    name = element("span", label, class_="label")
    track = element("span", content, class_="track")
    return element("li", name, track, class_=what, data_call=call, aria_hidden="true" if hidden else None)
