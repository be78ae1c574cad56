from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mmagent.trace import Trace

if TYPE_CHECKING:
    from tests.trace.conftest import Turn


def test_a_trace_goes_through_json_exactly(turn: Turn) -> None:
    again = Trace.from_json(turn.trace.to_json())
    assert again.to_json() == turn.trace.to_json()
    assert again.steps == turn.trace.steps
    assert again.parts == turn.trace.parts


def test_places_of_a_later_step_count_from_its_own_first_part(turn: Turn) -> None:
    assert turn.trace.part_at(0, 3) == turn.trace.parts[3]
    assert turn.trace.part_at(1, 0) == turn.trace.parts[4]
    assert turn.trace.part_at(1, 2) is None
    assert turn.trace.part_at(9, 0) is None


def test_every_signal_leads_to_the_part_of_its_modality(turn: Turn) -> None:
    assert [(route.modality, part and part.modality) for route, part in turn.trace.signals] == [
        ("speech", "speech"), ("image", "image"), ("audio", "audio"), ("video", "video"),
    ]  # fmt: skip


def test_calls_come_in_the_order_in_which_they_began(turn: Turn) -> None:
    step = turn.trace.steps[0]
    late = replace(step, calls=step.calls[::-1])
    assert late.begun == step.calls
    assert replace(turn.trace, steps=(late, *turn.trace.steps[1:])).calls == turn.trace.calls


def test_cached_calls_are_counted(turn: Turn) -> None:
    assert turn.trace.cache_hits == 1
    assert len(turn.trace.calls) == 7
