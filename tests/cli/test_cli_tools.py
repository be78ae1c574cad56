"""`mmagent tools`: listing with what is broken, cards, and the proof of a tool."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result

from mmagent.cli.exits import INTAKE, OK, TOOL, USAGE
from mmagent.media import Image

Command = Callable[..., Result]

SONIFY = '''
from typing import Literal

import numpy as np

from mmagent import Audio, Context, Image, tool


@tool
def sonify(image: Image, ctx: Context, tempo: int = 120, voice: Literal["pure", "rough"] = "pure") -> Audio:
    """Turn a picture into a melody."""
    for step in range(8):
        ctx.progress(step, 8)
    level = float(image.rgb().mean()) / 255
    t = np.arange(800) / 8000
    wave = np.sin(2 * np.pi * (220 + 440 * level + tempo + ctx.seed) * t)
    return Audio(np.sign(wave) * 0.5 if voice == "rough" else wave, 8000)
'''


@pytest.fixture
def sonify(shelf: Path) -> Path:
    path = shelf / "tools" / "sonify.py"
    path.write_text(SONIFY)
    return path


def test_a_users_tool_is_listed_with_its_ports(mm: Command, sonify: Path) -> None:
    rows = [line.split("\t") for line in mm("tools", "list").stdout.splitlines()]
    assert ["sonify.v1", "converter", "image", "audio", "Turn a picture into a melody."] in rows


def test_a_broken_file_is_listed_with_its_cause_and_breaks_nothing(mm: Command, sonify: Path) -> None:
    sonify.with_name("bad.py").write_text("import nothing_of_this_name\n")
    listed = json.loads(mm("tools", "list", "--json").stdout)
    found = {item["name"]: item for item in listed}
    assert "No module named 'nothing_of_this_name'" in found["bad"]["broken"]
    assert found["sonify.v1"]["card"]["inputs"][0]["modality"] == "image"
    assert "broken" in mm("tools", "list").stdout


def test_the_list_can_be_narrowed_to_a_modality(mm: Command, sonify: Path) -> None:
    names = {item["name"] for item in json.loads(mm("tools", "list", "--modality", "audio", "--json").stdout)}
    assert "sonify.v1" in names
    assert "crop.v1" not in names
    wrong = mm("tools", "list", "--modality", "smell")
    assert (wrong.exit_code, wrong.stdout) == (USAGE, "")


def test_a_card_says_of_which_ports_one_is_given(mm: Command) -> None:
    assert "exactly one of prompt, prompt_embeds is given" in mm("tools", "show", "image-diffusion").stdout


def test_a_card_is_shown_whole(mm: Command, sonify: Path) -> None:
    shown = mm("tools", "show", "sonify").stdout
    for piece in ("sonify.v1", "Turn a picture", "image: image", "audio: audio", "tempo: int", "pure | rough"):
        assert piece in shown
    assert mm("tools", "show", sonify).stdout == shown


def test_an_honest_tool_is_proved_by_name_and_by_file(mm: Command, sonify: Path) -> None:
    for name in ("sonify", sonify):
        result = mm("tools", "check", name, "--json")
        findings = json.loads(result.stdout)
        assert result.exit_code == OK
        assert {item["status"] for item in findings} == {"ok"}, findings
        assert len(findings) == 7


def test_a_tool_that_fails_a_check_exits_4_and_says_why(mm: Command, shelf: Path) -> None:
    path = shelf / "tools" / "dice.py"
    path.write_text(
        "import random\n\nfrom mmagent import Text, tool\n\n\n@tool\ndef dice(text: Text) -> Text:\n"
        '    """Throws dice."""\n    return Text(str(random.random()))\n'
    )
    result = mm("tools", "check", path)
    assert result.exit_code == TOOL
    assert "FAIL dice.v1  determinism: two calls with one seed differ" in result.stdout
    assert "ok   dice.v1  types" in result.stdout


def test_a_broken_file_cannot_be_checked_and_exits_4(mm: Command, shelf: Path) -> None:
    path = shelf / "tools" / "bad.py"
    path.write_text("1 / 0\n")
    result = mm("tools", "check", path)
    assert result.exit_code == TOOL
    assert "ZeroDivisionError" in result.stderr


def test_inputs_settings_and_single_checks_can_be_chosen(mm: Command, sonify: Path, tmp_path: Path) -> None:
    Image(np.zeros((4, 4, 3), dtype="uint8")).save(tmp_path / "dot.png")
    result = mm(
        "tools", "check", sonify, "--only", "types", "--in", f"image={tmp_path / 'dot.png'}", "--set", "tempo=90"
    )
    assert result.exit_code == OK
    assert result.stdout.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--only", "beauty"), USAGE, "no check 'beauty'"),
        (("--in", "picture=x.png"), USAGE, "has no input 'picture'"),
        (("--in", "image"), USAGE, "is not NAME=VALUE"),
        (("--in", "image=absent.png"), INTAKE, "absent.png"),
        (("--set", "tempo=fast"), USAGE, "tempo takes int"),
        (("--set", "voice=sweet"), USAGE, "one of 'pure', 'rough'"),
        (("--set", "volume=1"), USAGE, "no setting 'volume'"),
    ],
)
def test_wrong_words_are_refused_by_name(
    mm: Command, sonify: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    result = mm("tools", "check", sonify, *words)
    assert result.exit_code == code
    assert said in result.stderr
