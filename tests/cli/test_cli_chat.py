"""`mmagent chat` from a pipe: turns that are remembered, files, saving, the policy, and errors that end nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result

from mmagent.cli.exits import FAILED, INTAKE, OK, USAGE
from mmagent.conversation import Signal
from mmagent.media import Image, Text
from mmagent.model import ScriptedReasoner

Command = Callable[..., Result]

PAINT = '''
import numpy as np

from mmagent import Image, Text, tool


@tool
def paint(text: Text) -> Image:
    """Paint a caption."""
    if "nothing" in text.text:
        raise ValueError("there is nothing to paint")
    return Image(np.zeros((4, 4, 3), dtype="uint8"))
'''


@pytest.fixture
def script(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., ScriptedReasoner]:
    """`script([…], […])` is what every model says turn by turn; a tool that paints is on the shelf."""
    (shelf / "tools" / "paint.py").write_text(PAINT)

    def say(*turns: list[Any]) -> ScriptedReasoner:
        reasoner = ScriptedReasoner(turns=turns)
        monkeypatch.setattr("mmagent.model.load_model", lambda name: reasoner)
        return reasoner

    return say


def test_each_line_is_a_turn_and_the_agent_remembers(mm: Command, script: Callable[..., ScriptedReasoner]) -> None:
    reasoner = script(["Hello."], ["You said hi."])
    result = mm("chat", stdin="hi\nwhat did I say?\n/quit\nnever read\n")
    assert result.exit_code == OK, result.stderr
    assert result.stdout == "Hello.\nYou said hi.\n"
    assert [item.text for item in reasoner.heard[1]] == ["hi", "Hello.", "what did I say?"]
    assert len(reasoner.heard) == 2


def test_the_end_of_the_input_ends_the_talk(mm: Command, script: Callable[..., ScriptedReasoner]) -> None:
    script(["Hello."])
    assert mm("chat", stdin="hi").stdout == "Hello.\n"
    assert mm("chat", stdin="").exit_code == OK


def test_forget_begins_a_new_conversation(mm: Command, script: Callable[..., ScriptedReasoner]) -> None:
    reasoner = script(["Hello."])
    mm("chat", stdin="hi\n/forget\nwho am I?\n")
    assert [item.text for item in reasoner.heard[1]] == ["who am I?"]


def test_files_go_into_the_next_request_alone_or_with_words(
    mm: Command, script: Callable[..., ScriptedReasoner], tmp_path: Path
) -> None:
    reasoner = script(["I see."])
    picture = Image(np.zeros((3, 5, 3), dtype="uint8"))
    picture.save(tmp_path / "it.png")
    mm("chat", "--in", tmp_path / "it.png", stdin=f"what is it?\n/in {tmp_path / 'it.png'}\n\n\n")
    assert [item.media for item in reasoner.heard[0]] == [(picture,)]
    assert reasoner.heard[0].messages[-1].text == "what is it?"
    assert reasoner.heard[1].messages[-1].media == (picture,)
    assert reasoner.heard[1].messages[-1].text == ""
    assert len(reasoner.heard) == 2


def test_the_last_reply_can_be_saved_and_its_trace_shown(
    mm: Command, script: Callable[..., ScriptedReasoner], tmp_path: Path
) -> None:
    script(["Here: ", Signal("image", "a cat")])
    result = mm("chat", stdin=f"draw\n/save {tmp_path / 'kept'}\n/trace\n")
    assert result.exit_code == OK
    assert Text.open(tmp_path / "kept" / "1.txt") == Text("Here:")
    assert Image.open(tmp_path / "kept" / "2.png").describe()["width"] == 4
    assert "[image] Image(" in result.stderr
    assert "paint.v1" in result.stdout


def test_the_policy_can_be_shown_changed_and_dropped(mm: Command, script: Callable[..., ScriptedReasoner]) -> None:
    script(["Here: ", Signal("image", "a cat")])
    result = mm(
        "chat", "--seed", 4,
        stdin="/policy\n/policy forbid=image max=audio:2\ndraw\n/policy none\ndraw\n/policy seed=9\n",
    )  # fmt: skip
    shown = [line for line in result.stderr.splitlines() if line.startswith("policy: ")]
    assert "seed=4" in shown[0]
    assert "forbid=('image',), most=(('audio', 2),)" in shown[1]
    assert "seed=4" in shown[1]
    assert "forbid=()" in shown[2]
    assert "seed=9" in shown[3]
    assert result.stderr.count("[image] Image(") == 1


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("/in absent.png", INTAKE, "absent.png"),
        ("/in", USAGE, "/in takes a file"),
        ("/dance", USAGE, "no command /dance"),
        ("/save here", USAGE, "there is no reply yet"),
        ("/trace", USAGE, "there is no reply yet"),
        ("/policy mood=good", USAGE, "knows force, forbid, max and seed, not mood"),
        ("/policy seed=x", USAGE, "seed is a whole number"),
        ("/policy force=smell", USAGE, "no modality 'smell'"),
        ("/policy force=image forbid=image", USAGE, "forces and forbids image"),
    ],
)
def test_an_error_is_told_the_talk_goes_on_and_its_code_is_kept(
    mm: Command, script: Callable[..., ScriptedReasoner], line: str, code: int, said: str
) -> None:
    script(["Hello."])
    result = mm("chat", stdin=f"{line}\nhi\n")
    assert result.stdout == "Hello.\n"
    assert result.exit_code == code
    errors = [shown for shown in result.stderr.splitlines() if shown.startswith("error: ")]
    assert len(errors) == 1
    assert said in errors[0]


def test_a_part_that_fails_is_told_and_the_talk_goes_on(mm: Command, script: Callable[..., ScriptedReasoner]) -> None:
    script(["Here: ", Signal("image", "nothing")], ["Sorry."])
    result = mm("chat", stdin="draw\nwhat happened?\n")
    assert result.exit_code == FAILED
    assert "there is nothing to paint" in result.stderr
    assert result.stdout == "Here: \nSorry.\n"


def test_help_lists_every_command(mm: Command, script: Callable[..., ScriptedReasoner]) -> None:
    from mmagent.cli.chat import COMMANDS

    script(["Hello."])
    shown = mm("chat", stdin="/help\n").stderr
    for name in {*COMMANDS, "/quit"} - {"/help"}:
        assert f"\n{name} " in f"\n{shown}"
