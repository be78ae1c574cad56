from __future__ import annotations

import doctest
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmagent.engine.events import Call
from mmagent.trace import Trace, markup, timeline, words
from mmagent.trace.calls import depths

if TYPE_CHECKING:
    from tests.trace.conftest import Reading, Turn

    Read = Callable[[str], Reading]

seconds = st.floats(1e-6, 1e6)


@given(seconds)
def test_the_axis_has_a_few_round_numbers_within_the_turn(end: float) -> None:
    ticks = timeline.axis(end)
    assert ticks[0] == 0
    assert ticks == sorted(set(ticks))
    assert ticks[-1] <= end * 1.001
    assert 3 <= len(ticks) <= 8


@given(st.lists(st.floats(0, 100), max_size=20), st.floats(0.01, 50))
def test_marks_in_one_lane_are_never_nearer_than_the_gap(times: list[float], gap: float) -> None:
    placed = timeline.lanes(times, gap)
    for lane in set(placed):
        own = sorted(at for at, found in zip(times, placed) if found == lane)
        assert all(later - earlier >= gap for earlier, later in pairwise(own))


def test_bars_and_marks_stand_where_their_times_are(turn: Turn, read: Read) -> None:
    seen = read(timeline.timeline(turn.trace))
    assert seen.faults == []
    bars = [attributes for attributes in seen.all("a") if "bar" in (attributes.get("class") or "").split()]
    assert [bar["style"] for bar in bars][1] == "--at:0.0067;--long:0.6667"
    assert [bar["aria-label"] for bar in bars][-1] == "answer, cancelled: 2.60 s to 3.00 s"
    assert "first token: 300 ms" in seen.text
    assert "image asked for: 900 ms" in seen.text
    assert "audio failed: 1.30 s" in seen.text


def test_a_turn_without_times_says_so(read: Read) -> None:
    assert read(timeline.timeline(Trace("m", 0, {}, (), (), ()))).text == "Nothing was timed."


def test_depths_follow_parents_and_end_at_loops(turn: Turn) -> None:
    calls = turn.trace.steps[0].calls
    assert depths(calls) == {1: 0, 2: 0, 3: 1, 4: 1, 5: 1, 6: 1}
    loop: list[Call] = [replace(calls[0], span=1, parent=2), replace(calls[0], span=2, parent=1)]
    assert set(depths(loop)) == {1, 2}


@pytest.mark.parametrize("module", [markup, timeline, words])
def test_the_examples_in_the_docstrings_hold(module: object) -> None:
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]  # any module
