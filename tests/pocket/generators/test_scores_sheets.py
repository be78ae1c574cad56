"""Sheets of samples: every picture over its caption, clips that move, sounds that are heard as they were made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as pil
from PIL import ImageFont

pytest.importorskip("torch")

from mmagent import Audio
from mmagent.pocket.generators.scores import sheets
from mmagent.pocket.generators.scores.judging import Array

COLOURS = ((255, 0, 0), (0, 160, 0), (0, 0, 255))
CAPTIONS = ["a red picture", "a small cat to the left of a big dog on a green background", "blue"]


def plain() -> list[Array]:
    return [np.full((64, 64, 3), colour, np.uint8) for colour in COLOURS]


def inked(picture: pil.Image, box: tuple[int, int, int, int]) -> bool:
    return bool((np.asarray(picture.crop(box)) < 100).all(axis=2).any())


def test_pictures_stand_in_rows_each_over_its_caption() -> None:
    made = sheets.sheet(plain(), CAPTIONS, 2)
    side, edge = 64 * sheets.SCALE, sheets.EDGE
    assert made.width == 2 * side + 3 * edge
    row = (made.height - edge) // 2
    for number, colour in enumerate(COLOURS):
        x, y = edge + number % 2 * (side + edge), edge + number // 2 * row
        assert made.getpixel((x, y)) == made.getpixel((x + side - 1, y + side - 1)) == colour
        assert inked(made, (x, y + side, x + side, y + row - edge))
    assert not inked(made, (2 * edge + side, edge + row, made.width, made.height))  # where there is no fourth


def test_a_caption_is_cut_into_lines_between_words() -> None:
    font = ImageFont.load_default(sheets.SIZE)
    lines = list(sheets._lines(CAPTIONS[1], 128, font))
    assert len(lines) > 1
    assert " ".join(lines) == CAPTIONS[1]
    assert all(font.getlength(line) <= 128 for line in lines)
    assert list(sheets._lines("unbreakable " * 2, 1, font)) == ["unbreakable"] * 2


def test_pictures_are_written_as_one_file(tmp_path: Path) -> None:
    (path,) = sheets.write("pictures", np.stack(plain()), CAPTIONS, tmp_path / "new")
    with pil.open(path) as found:
        assert (path.name, found.format) == ("pictures.png", "PNG")
        assert found.width == 3 * 64 * sheets.SCALE + 4 * sheets.EDGE


def test_clips_move_at_their_pace_and_for_ever(tmp_path: Path) -> None:
    clips = np.stack([np.stack(plain()), np.stack(plain()[::-1])])  # [2, 3, 64, 64, 3]
    (path,) = sheets.write("clips", clips, CAPTIONS[:2], tmp_path)
    with pil.open(path) as found:
        assert (found.format, found.n_frames, found.info["loop"]) == ("GIF", 3, 0)  # type: ignore[attr-defined]
        for number, colours in enumerate(zip(COLOURS, COLOURS[::-1])):
            found.seek(number)
            assert found.info["duration"] == 120  # GIF counts hundredths of a second
            shown = np.asarray(found.convert("RGB"))
            for place, colour in enumerate(colours):
                pixel = shown[20, 20 + place * (64 * sheets.SCALE + sheets.EDGE)]
                assert np.abs(pixel.astype(int) - colour).max() < 8


def test_sounds_are_seen_and_heard(tmp_path: Path) -> None:
    times = np.arange(32_000, dtype=np.float32) / 16_000
    tones = np.stack([0.5 * np.sin(2 * np.pi * pitch * times) for pitch in (300, 3000)]).astype(np.float32)
    sheet, *heard = sheets.write("sounds", tones, ["low", "high"], tmp_path)
    assert [path.name for path in heard] == ["sound-01.flac", "sound-02.flac"]
    for tone, path in zip(tones, heard):
        found = Audio.open(path)
        assert found.rate == 16_000
        assert np.abs(found.array[:, 0] - tone).max() < 1e-3
    with pil.open(sheet) as found_sheet:
        pixels = np.asarray(found_sheet)
    width, height, edge = 128 * sheets.SCALE, 64 * sheets.SCALE, sheets.EDGE
    low, high = (pixels[edge : edge + height, x : x + width, 0] for x in (edge, 2 * edge + width))
    assert low.sum(axis=1).argmax() > high.sum(axis=1).argmax()  # high frequencies are above
