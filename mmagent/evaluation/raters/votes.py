"""Votes of raters, read back with the key of their page: who won, how sure that is, how far raters agree."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from mmagent.errors import IntakeError
from mmagent.evaluation.raters.pairing import Key
from mmagent.evaluation.score import Score, share


class Votes(BaseModel):
    """What one rater chose, by the number of the pair."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    page: str
    rater: str = ""
    votes: dict[str, Literal["left", "right", "equal"]]

    @classmethod
    def load(cls, path: str | Path) -> Votes:
        """Votes as a page saves them; IntakeError if the file holds none."""
        try:
            return cls.model_validate_json(Path(path).read_bytes())
        except (OSError, ValidationError) as error:
            raise IntakeError(f"{path} holds no votes: {str(error).splitlines()[0]}") from None


class Verdict(BaseModel):
    """How often each of two systems was preferred.

    `wins` are shares of the votes that are not ties; `p` is how likely so lopsided a count would be of equals (the
    exact two-sided sign test; raters' votes on one pair are counted as if they were independent). `agreement` is how
    often two raters of a pair chose the same, `left` the share of votes for the left side, one half of raters
    without a habit.
    """

    model_config = ConfigDict(frozen=True)

    systems: tuple[str, str]
    counts: tuple[int, int]
    ties: int
    raters: int
    pairs: int
    wins: tuple[Score | None, Score | None]
    p: float
    agreement: Score | None
    left: Score | None


def tally(key: Key, votes: Sequence[Votes]) -> Verdict:
    """The verdict of all raters; IntakeError for votes of another page, or on pairs that it does not have."""
    if not votes:
        raise IntakeError("there are no votes to count")
    counts, sides, same, both = [0, 0], {"left": 0, "right": 0, "equal": 0}, 0, 0
    for one in votes:
        unknown = sorted(one.votes.keys() - key.pairs.keys())
        if one.page != key.page or unknown:
            raise IntakeError(
                f"the votes of {one.rater or 'a rater'} are on page {one.page}, the key is of page {key.page}; "
                "give the key that was written with their page"
            )
        for number, choice in one.votes.items():
            sides[choice] += 1
            if choice != "equal":
                left = key.pairs[number].left
                counts[left if choice == "left" else 1 - left] += 1
    for one, other in combinations(votes, 2):
        shared = one.votes.keys() & other.votes.keys()
        both += len(shared)
        same += sum(one.votes[number] == other.votes[number] for number in shared)
    decided = sum(counts)
    return Verdict(
        systems=key.systems,
        counts=(counts[0], counts[1]),
        ties=sides["equal"],
        raters=len(votes),
        pairs=len({number for one in votes for number in one.votes}),
        wins=(share(counts[0], decided), share(counts[1], decided)),
        p=_sign_test(*counts),
        agreement=share(same, both),
        left=share(sides["left"], decided),
    )


def _sign_test(one: int, other: int) -> float:
    """The exact two-sided binomial test of two counts against a half.

    >>> round(_sign_test(8, 2), 4)
    0.1094
    """
    n = one + other
    tail = sum(math.comb(n, k) for k in range(min(one, other) + 1))
    return min(1.0, 2 * tail / (1 << n))
