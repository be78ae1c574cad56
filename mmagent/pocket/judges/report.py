"""How good a judge is: its ceilings, what it refuses, and what it takes for what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from mmagent.evaluation.score import Score, share

WORST = 5
"""How many mistakes a table prints."""
ALL = "all"


@dataclass(slots=True)
class Confusion:
    """What was there against what was found, counted."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, true: str, found: str) -> None:
        """Count one."""
        self.counts[true, found] += 1

    @property
    def right(self) -> Score | None:
        """The share on the diagonal."""
        hits = sum(count for (true, found), count in self.counts.items() if true == found)
        return share(hits, self.counts.total())

    @property
    def mistakes(self) -> list[tuple[str, str, int]]:
        """What was there, what was found instead, how often; the commonest first."""
        wrong = [(*pair, count) for pair, count in self.counts.items() if pair[0] != pair[1]]
        return sorted(wrong, key=lambda row: (-row[2], row))


@dataclass(slots=True)
class Report:
    """Of one judge. Ceilings: by set of true media, then by attribute. Refused: by kind of nonsense."""

    judge: str
    hits: Counter[tuple[str, str]] = field(default_factory=Counter)
    asked: Counter[tuple[str, str]] = field(default_factory=Counter)
    tables: dict[str, Confusion] = field(default_factory=dict)
    nonsense: Counter[str] = field(default_factory=Counter)
    caught: Counter[str] = field(default_factory=Counter)

    def judged(self, media: str, right: Mapping[str, bool]) -> None:
        """Count a verdict on a medium of that set, each attribute and all of them together."""
        for attribute, hit in (*right.items(), (ALL, all(right.values()))):
            self.asked[media, attribute] += 1
            self.hits[media, attribute] += hit

    def confused(self, attribute: str, true: object, found: object) -> None:
        """Count what was found of an attribute."""
        self.tables.setdefault(attribute, Confusion()).add(str(true), str(found))

    def offered(self, kind: str, refused: bool) -> None:
        """Count a piece of nonsense."""
        self.nonsense[kind] += 1
        self.caught[kind] += refused

    def ceiling(self, media: str, attribute: str = ALL) -> Score | None:
        """The share of true media of a set on which an attribute is judged right."""
        return share(self.hits[media, attribute], self.asked[media, attribute])

    def refused(self, *kinds: str) -> Score | None:
        """The share of nonsense of these kinds, or of all, that is refused."""
        chosen = kinds or tuple(self.nonsense)
        return share(sum(self.caught[kind] for kind in chosen), sum(self.nonsense[kind] for kind in chosen))

    def data(self) -> dict[str, object]:
        """All of it as JSON."""
        return {
            "judge": self.judge,
            "ceilings": {
                media: {name: _told(self.ceiling(media, name)) for among, name in self.asked if among == media}
                for media in dict.fromkeys(media for media, _ in self.asked)
            },
            "refused": {kind: _told(self.refused(kind)) for kind in self.nonsense} | {ALL: _told(self.refused())},
            "confusion": {
                attribute: [[*pair, count] for pair, count in sorted(table.counts.items())]
                for attribute, table in self.tables.items()
            },
        }

    def lines(self) -> Iterator[str]:
        """All of it to be read; of the tables the commonest mistakes."""
        yield f"{self.judge}: ceilings on true media"
        for media, attribute in self.asked:
            yield f"  {media:18} {attribute:12} {self.ceiling(media, attribute)} of {self.asked[media, attribute]}"
        yield f"{self.judge}: nonsense refused"
        for kind in (*self.nonsense, ""):
            chosen = (kind,) if kind else ()
            yield f"  {kind or ALL:31} {self.refused(*chosen)} of {self.nonsense[kind] or self.nonsense.total()}"
        for attribute, table in self.tables.items():
            yield f"{self.judge}: {attribute}, {table.right} of {table.counts.total()} right"
            for true, found, count in table.mistakes[:WORST]:
                yield f"  {true:18} taken for {found:18} {count:5}"


def _told(score: Score | None) -> dict[str, object] | None:
    return None if score is None else {"value": score.value, "n": score.n, "low": score.low, "high": score.high}
