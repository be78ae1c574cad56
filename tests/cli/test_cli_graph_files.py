"""`mmagent graph run`: the kinds of files that outputs are written as, and the shipped graph that draws."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result

from mmagent.cli.exits import OK, USAGE
from mmagent.media import Audio, Image, Video

Command = Callable[..., Result]

TOOLS = '''
from typing import NamedTuple

import numpy as np

from mmagent import Audio, Text, Video, tool


class Scene(NamedTuple):
    film: Video
    song: Audio


@tool
def play(text: Text) -> Scene:
    """A film of four frames, and a song of no notes."""
    frames = np.repeat(np.arange(0, 200, 50, dtype="uint8"), 16 * 16 * 3).reshape(4, 16, 16, 3)
    return Scene(Video(frames, fps=8), Audio(np.zeros(800, dtype="float32"), 8000))
'''
PLAYED = """
graph: played
inputs: {words: text}
nodes: {play: {tool: play.v1, in: {text: words}}}
outputs: {film: play.film, song: play.song}
"""


@pytest.fixture
def played(shelf: Path, tmp_path: Path) -> tuple[object, ...]:
    """Words that run a graph of a film and a song, and where they are put."""
    (shelf / "tools" / "play.py").write_text(TOOLS)
    (shelf / "graphs" / "played.yaml").write_text(PLAYED)
    return "graph", "run", "played", "words=x", "--out", tmp_path / "out"


def test_outputs_are_written_as_the_kinds_asked_for_and_the_rest_without_loss(
    mm: Command, played: tuple[object, ...], tmp_path: Path
) -> None:
    result = mm(*played, "--as", "mp4", "--as", ".GIF", "--as", "gif", "--json")
    assert result.exit_code == OK, result.stderr
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} == {"film.mp4", "film.gif", "song.wav"}
    film = json.loads(result.stdout)["outputs"]["film"]
    assert [entry["path"] for entry in film] == [str(out / "film.mp4"), str(out / "film.gif")]
    for name in ("film.mp4", "film.gif"):
        shown = Video(out / name)
        assert shown.array.shape == (4, 16, 16, 3)
        assert np.abs(shown.array[2].astype(int) - 100).max() < 12


def test_a_sound_is_written_as_flac(mm: Command, played: tuple[object, ...], tmp_path: Path) -> None:
    assert mm(*played, "--as", "flac").exit_code == OK
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"film.mkv", "song.flac"}
    assert Audio(tmp_path / "out" / "song.flac").rate == 8000


def test_a_kind_that_no_output_has_is_refused_before_anything_runs(
    mm: Command, played: tuple[object, ...], tmp_path: Path
) -> None:
    result = mm(*played, "--as", "png")
    assert result.exit_code == USAGE
    assert "no output can be written as .png; film as .mkv, .mp4, .gif, .webm; song as .wav, .flac" in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_kind_of_file_without_a_folder_is_refused(mm: Command) -> None:
    result = mm("graph", "run", "speak", "text=x", "--as", "wav")
    assert (result.exit_code, "--out FOLDER" in result.stderr) == (USAGE, True)


def test_a_plan_to_draw_names_what_has_to_be_fetched(
    mm: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MMAGENT_CACHE", str(tmp_path / "cache"))
    found = json.loads(mm("plan", "text-to-image", "--in", "prompt=a cat", "--json").stdout)
    assert [item["name"] for item in found["downloads"]] == ["pocket-pictures", "all-minilm-l6-v2"]
    assert found["extras"] == ["local"]
    assert not (tmp_path / "cache" / "weights").exists()


@pytest.mark.slow
@pytest.mark.weights
@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")  # diffusers
def test_a_prompt_becomes_a_picture_on_its_background(mm: Command, tmp_path: Path) -> None:
    pytest.importorskip("diffusers")
    from mmagent.pocket.judges.pictures.eye import Eye

    seen = {}
    for colour in ("blue", "yellow"):
        words = ("graph", "run", "text-to-image", f"prompt=a cat on a {colour} background", "--quiet")
        result = mm(*words, "--out", tmp_path / colour, "--seed", 3)
        assert result.exit_code == OK, result.stderr
        seen[colour] = Image(tmp_path / colour / "image.png").array
    judged = Eye.load().see(np.stack(list(seen.values())))
    assert [picture.background for picture in judged] == list(seen)
    larger = mm(*words, "--out", tmp_path / "large", "--set", "upscale.factor=4", "--as", "webp", "--seed", 3)
    assert larger.exit_code == OK, larger.stderr
    assert (Image(tmp_path / "large" / "image.webp").width, len(seen["blue"])) == (256, 64)
