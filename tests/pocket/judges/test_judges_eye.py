"""From what the networks tell to facts: which peaks are things, and which thing a video shows."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mmagent.pocket.judges.facts import NONE, Seen, Spot, Watched
from mmagent.pocket.judges.pictures.eye import SURE, Eye, _watched
from mmagent.pocket.judges.pictures.net import SIZE, Cells, Sight
from mmagent.pocket.judges.pictures.task import classes

Peak = tuple[int, int, float, float]
"""Column and row of a cell, logit of a centre there, size in pixels."""


class Told(Sight):
    """Tells of every picture the same peaks; whatever is looked at is a cat, as sure as it is told."""

    def __init__(self, peaks: list[Peak], sure: float = 0.95) -> None:
        super().__init__(len(classes()))
        self.find = Peaks(peaks)  # type: ignore[assignment]
        self.name = Cat(sure)  # type: ignore[assignment]


class Peaks(torch.nn.Module):
    def __init__(self, peaks: list[Peak]) -> None:
        super().__init__()
        self.peaks = peaks

    def forward(self, pictures: torch.Tensor) -> Cells:
        centre = torch.full((len(pictures), 16, 16), -9.0)
        size = torch.zeros(len(pictures), 16, 16)
        for x, y, height, pixels in self.peaks:
            centre[:, y, x], size[:, y, x] = height, math.log(pixels / SIZE)
        return Cells(centre, size, torch.full((len(pictures), 2, 16, 16), 0.25))


class Cat(torch.nn.Module):
    def __init__(self, sure: float) -> None:
        super().__init__()
        self.sure = sure

    def forward(self, things: torch.Tensor) -> torch.Tensor:
        chances = torch.full((len(things), len(classes())), 1e-9)
        chances[:, classes().index("cat")] = self.sure
        chances[:, -1] = 1 - self.sure
        return chances.log()


def see(*peaks: Peak, sure: float = 0.95) -> tuple[Spot, ...]:
    pictures = np.full((3, 64, 64, 3), (110, 165, 240), np.uint8)
    seen = Eye(Told(list(peaks), sure)).see(pictures)
    assert len(seen) == 3 and all(item == seen[0] for item in seen)
    assert seen[0].background == "blue"
    return seen[0].spots


def test_a_peak_is_a_thing_at_its_place_and_of_its_size_and_things_go_from_left_to_right() -> None:
    right, left = (12, 8, 3.0, 18.0), (3, 4, 1.0, 20.0)
    first, second = see(right, left)
    assert (first.name, first.x, first.y) == ("cat", 4 * 3.75, 4 * 4.75)
    assert (second.x, second.y) == (4 * 12.75, 4 * 8.75)
    assert first.size == pytest.approx(20) and second.size == pytest.approx(18)


def test_where_nothing_lies_nothing_is_seen() -> None:
    assert see() == see((8, 8, -3.0, 20.0)) == ()
    assert Eye(Told([])).see(np.zeros((0, 64, 64, 3), np.uint8)) == []


def test_a_fainter_peak_near_another_or_within_a_large_thing_is_no_other_thing() -> None:
    assert len(see((8, 8, 3.0, 12.0), (10, 8, 2.0, 12.0))) == 1
    assert len(see((8, 8, 3.0, 12.0), (11, 8, 2.0, 12.0))) == 2
    assert len(see((8, 8, 3.0, 40.0), (11, 8, 2.0, 12.0))) == 1
    assert len(see((8, 8, 2.0, 40.0), (13, 8, 3.0, 12.0))) == 2


def test_what_is_not_surely_a_thing_is_none_and_is_seen_all_the_same() -> None:
    assert [spot.name for spot in see((8, 8, 3.0, 20.0), sure=SURE - 0.01)] == [NONE]
    assert [spot.name for spot in see((8, 8, 3.0, 20.0), sure=SURE + 0.01)] == ["cat"]


def frames(*names: str) -> list[Seen]:
    """A thing that goes to the right; what it is called in each frame."""
    return [Seen("blue", (Spot(name, 20, 12 + 5 * number, 32),)) for number, name in enumerate(names)]


def test_a_video_shows_what_most_of_its_frames_show_alone() -> None:
    assert _watched(frames(*["cat"] * 8)) == Watched("blue", "cat", "right")
    assert _watched(frames("dog", NONE, *["cat"] * 6)) == Watched("blue", "cat", "right")
    assert _watched(frames("dog", NONE, "dog", *["cat"] * 5)) == Watched("blue", NONE, "right")


def test_a_video_without_a_thing_or_with_two_shows_none() -> None:
    assert _watched([Seen("blue", ())] * 8) == Watched("blue", NONE, NONE)
    two = [Seen("blue", (*seen.spots, Spot("dog", 12, 8, 8))) for seen in frames(*["cat"] * 8)]
    assert _watched(two) == Watched("blue", NONE, NONE)
    assert _watched([Seen(NONE, seen.spots) for seen in frames(*["cat"] * 8)]).background == NONE
