"""Bad records: fatal, or counted and reported up to a bound; nothing else is taken for one."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from mmagent.errors import IntakeError, MissingExtra
from mmagent.training.data.bad import BadRecord, BadRecords, told


def test_a_bad_record_is_fatal_unless_it_is_said_otherwise() -> None:
    with pytest.raises(BadRecord, match=r"^a\.jsonl:3: no words$"):
        BadRecords().met(BadRecord("a.jsonl:3", "no words"))
    with pytest.raises(IntakeError, match="'fatal' or to 'skip'"):
        BadRecords("ignore")  # type: ignore[arg-type]  # a mistake


def test_skipped_ones_are_counted_and_the_report_is_bounded(tmp_path: Path) -> None:
    bad = BadRecords("skip", tmp_path / "run" / "bad.jsonl", lines=2)
    for line in range(5):
        bad.met(BadRecord(f"a.jsonl:{line}", "no words"))
    assert bad.count == 5
    lines = [json.loads(line) for line in (tmp_path / "run" / "bad.jsonl").read_text().splitlines()]
    assert lines[:2] == [{"place": "a.jsonl:0", "reason": "no words"}, {"place": "a.jsonl:1", "reason": "no words"}]
    assert len(lines) == 3 and "counted alone" in lines[2]["reason"]


def test_what_was_told_is_not_told_again(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    for _ in range(2):  # epochs; then another run
        bad = BadRecords("skip", path, lines=2)
        for line in (0, 1, 0, 2, 3, 1, 0):
            bad.met(BadRecord(f"a.jsonl:{line}", "no words"))
        assert bad.count == 4
    assert len(path.read_text().splitlines()) == 3


def test_without_a_report_they_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "mmagent.training"):
        BadRecords("skip").met(BadRecord("a.jsonl:3", "no words"))
    assert caplog.messages == ["bad record skipped: a.jsonl:3: no words"]


def test_content_is_bad_and_a_missing_library_is_not() -> None:
    with pytest.raises(BadRecord, match=r"^here: too large$"), told("here"):
        raise IntakeError("here: too large")
    with pytest.raises(MissingExtra), told("here"):
        raise MissingExtra("av", "video", "reading a film")
    with pytest.raises(ZeroDivisionError), told("here"):
        _ = 1 // 0
