"""Records that cannot be used: told with their place and reason, then passed over or fatal, never dropped unsaid."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from mmagent.errors import CardError, ConversationError, IntakeError, MediaError

LINES = 1000
"""Lines of a report, if it is not told otherwise; bad records beyond them are counted alone."""

_log = logging.getLogger("mmagent.training")


class BadRecord(IntakeError):
    """A record that cannot be used. `place` is its file with the line or member, `reason` what is wrong with it."""

    def __init__(self, place: str, reason: str) -> None:
        self.place, self.reason = place, reason
        super().__init__(f"{place}: {reason}")


@contextmanager
def told(place: str) -> Iterator[None]:
    """Whatever is wrong with the content met in this block is a BadRecord of that place.

    A library that is not installed and a fault of the code's own are something else, and stay what they are.
    """
    try:
        yield
    except BadRecord:
        raise
    except (CardError, ConversationError, IntakeError, MediaError) as error:
        raise BadRecord(place, str(error).removeprefix(f"{place}: ")) from error


class BadRecords:
    """What happens to bad records: `fatal` raises the first, `skip` counts them and writes a line of each.

    Lines are JSON with `place` and `reason`, appended to the file `report`, the last of them saying that more are
    only counted; without a report they are logged as warnings of `mmagent.training`. A record that is met again, in
    another epoch or by another run with this report, is not told again.
    """

    def __init__(
        self, then: Literal["fatal", "skip"] = "fatal", report: str | Path | None = None, lines: int = LINES
    ) -> None:
        if then not in ("fatal", "skip"):
            raise IntakeError(f"bad records are 'fatal' or to 'skip', not {then!r}")
        self.then, self.report, self.lines = then, None if report is None else Path(report), lines
        self._met = set[str]()
        self._told = _places(self.report)

    @property
    def count(self) -> int:
        """How many records were met that are bad."""
        return len(self._met)

    def met(self, bad: BadRecord) -> None:
        """Take note of a bad record, or raise it."""
        if self.then == "fatal":
            raise bad
        self._met.add(bad.place)
        if bad.place in self._told:
            return
        self._told.add(bad.place)
        if len(self._told) <= self.lines:
            self._tell({"place": bad.place, "reason": bad.reason})
        elif len(self._told) == self.lines + 1:
            self._tell({"place": "", "reason": f"more than {self.lines} bad records; the others are counted alone"})

    def _tell(self, line: dict[str, str]) -> None:
        if self.report is None:
            _log.warning("bad record skipped: %s: %s", line["place"], line["reason"])
            return
        self.report.parent.mkdir(parents=True, exist_ok=True)
        with self.report.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def _places(report: Path | None) -> set[str]:
    """The places that a report tells of already; a line that a kill cut short tells of none."""
    found = set[str]()
    for line in report.read_text("utf-8").splitlines() if report is not None and report.exists() else ():
        with suppress(ValueError):
            found.add(json.loads(line)["place"])
    return found
