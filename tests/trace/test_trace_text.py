from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mmagent.trace import Trace
from mmagent.trace.text import summary

if TYPE_CHECKING:
    from tests.trace.conftest import Turn

    Made = Callable[[Callable[[str], str]], Turn]


def test_it_tells_parts_routes_and_calls_in_their_order(turn: Turn) -> None:
    lines = summary(turn.trace).splitlines()
    assert lines[0] == "pocket: 3.00 s, 7 calls (1 cached, 1 failed, 1 skipped, 1 cancelled), seed 7"
    assert lines[1] == "first token after 300 ms, first audio after 1.30 s"
    heads = [line for line in lines if line and not line.startswith(" ")][2:]
    assert heads == ["reply", "routes", "calls of step 1", "calls of step 2"]
    assert [line.split()[:2] for line in lines[4:10]] == [
        ["1", "text"], ["2", "speech"], ["3", "image"], ["4", "audio"], ["5", "text"], ["6", "video"],
    ]  # fmt: skip


def test_it_says_what_failed_and_why(turn: Turn) -> None:
    text = summary(turn.trace)
    assert "failed: node 3/hum failed: too dark" in text
    assert "\n  ValueError: too dark" in text
    assert "no way (no tool makes it)" in text


def test_refused_candidates_are_counted_or_listed(turn: Turn) -> None:
    refused = "refused paint.v1 → say-what.v1 by text: it takes more steps"
    assert refused in summary(turn.trace, refused=True)
    assert refused not in summary(turn.trace)
    assert "(it takes the caption; 1 other refused)" in summary(turn.trace)


def test_what_models_and_tools_wrote_cannot_steer_the_terminal_or_forge_lines(turn_of: Made) -> None:
    hostile = "\x1b[2J\x9b31m\u202e\ncalls\n  forged\r"
    plain, text = summary(turn_of(str).trace), summary(turn_of(lambda word: word + hostile).trace)
    assert len(text.splitlines()) == len(plain.splitlines())
    assert all(sign.isprintable() or sign == "\n" for sign in text)


def test_an_empty_turn_is_one_line() -> None:
    assert summary(Trace("m", 0, {}, (), (), ())) == "m: 0 ms, 0 calls, seed 0"
