"""The names that parts, routes and calls have within the page, so that everything about one leads to the others."""

from __future__ import annotations

from mmagent.engine.events import Call
from mmagent.trace.data import Part


def number(part: Part) -> str:
    """A part's number as people count: from 1, as the files of a saved reply are named."""
    return str(part.place + 1)


def part_id(part: Part) -> str:
    """The anchor of a part of the reply."""
    return f"part-{part.place + 1}"


def route_id(index: int) -> str:
    """The anchor of a route, by its index among the trace's routes."""
    return f"route-{index + 1}"


def call_id(step: int, call: Call) -> str:
    """The anchor of a call's row, by the index of its step; its bar and its node in the drawing share it."""
    return f"call-{step + 1}-{call.span}"
