"""`mmagent run` and `mmagent plan`: a request of words and files, its parts on disk, and what it would take."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result

from mmagent.cli.exits import FAILED, FAULTS, INTAKE, OK, TOOL, USAGE
from mmagent.conversation import Signal
from mmagent.media import Audio, Image, Speech, Text
from mmagent.model import ScriptedReasoner

Command = Callable[..., Result]
EXAMPLES = Path(__file__).parents[2] / "examples"

TOOLS = '''
import numpy as np

from mmagent import Context, Image, Speech, Text, Tool, tool


class Paint(Tool, name="paint.v1", memory=5_000_000, cost=2.5):
    """Paint a caption as a square of one colour."""

    def load(self) -> None:
        import os

        if "NO_LOADING" in os.environ:
            raise RuntimeError("loaded although nothing should run")

    def run(self, text: Text, ctx: Context) -> Image:
        ctx.progress(0.5)
        colour = np.frombuffer(bytes.fromhex(text.digest[:6]), dtype="uint8") ^ (ctx.seed % 251)
        return Image(np.broadcast_to(colour, (4, 4, 3)))


@tool(cost=0.001)
def hum(text: Text) -> Speech:
    """Hum, unless there is nothing to hum."""
    if "silence" in text.text:
        raise ValueError("nothing to hum")
    return Speech(np.full(800, 0.1), 8000)
'''


@pytest.fixture
def script(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., ScriptedReasoner]:
    """`script("words", Signal(...))` is what every model says from then on; tools that paint and hum are on the shelf."""
    (shelf / "tools" / "studio.py").write_text(TOOLS)

    def say(*pieces: Any) -> ScriptedReasoner:
        reasoner = ScriptedReasoner(pieces)
        monkeypatch.setattr("mmagent.model.load_model", lambda name: reasoner)
        return reasoner

    return say


def painted() -> tuple[str | Signal, ...]:
    return "Here it is. ", Signal("image", "a red cat"), "Nice."


def test_words_come_on_stdout_and_parts_on_disk(
    mm: Command, script: Callable[..., ScriptedReasoner], tmp_path: Path
) -> None:
    script(*painted())
    result = mm("run", "Draw a cat", "--out", tmp_path / "out")
    assert result.exit_code == OK, result.stderr
    assert result.stdout == "Here it is. Nice.\n"
    assert Text.open(tmp_path / "out" / "1.txt") == Text("Here it is.")
    assert Image.open(tmp_path / "out" / "2.png").describe()["width"] == 4
    assert (tmp_path / "out" / "trace.html").is_file()
    for name in ("1.txt", "2.png", "3.txt", "trace.html"):
        assert str(tmp_path / "out" / name) in result.stderr
    assert "paint (paint.v1) " in result.stderr


def test_json_is_all_that_is_on_stdout(mm: Command, script: Callable[..., ScriptedReasoner], tmp_path: Path) -> None:
    script(*painted())
    result = mm("run", "Draw a cat", "--out", tmp_path, "--seed", 5, "--json")
    found = json.loads(result.stdout)
    assert [part["modality"] for part in found["parts"]] == ["text", "image", "text"]
    assert found["parts"][0]["text"] == "Here it is."
    assert Path(found["parts"][1]["path"]).is_file()
    assert found["seed"] == 5
    assert json.loads(Path(found["trace"]).read_text())["seed"] == 5
    assert result.stderr == ""


def test_the_same_seed_gives_the_same_bytes(
    mm: Command, script: Callable[..., ScriptedReasoner], tmp_path: Path
) -> None:
    script(*painted())
    for name, seed in (("one", 1), ("two", 1), ("three", 2)):
        mm("run", "Draw a cat", "--out", tmp_path / name, "--seed", seed, "--quiet")
    one, two, three = ((tmp_path / name / "2.png").read_bytes() for name in ("one", "two", "three"))
    assert one == two != three


def test_a_part_that_fails_exits_5_and_the_others_are_saved(
    mm: Command, script: Callable[..., ScriptedReasoner], tmp_path: Path
) -> None:
    script("Listen: ", Signal("speech", "silence"), "Done.")
    result = mm("run", "Sing", "--out", tmp_path, "--quiet")
    assert result.exit_code == FAILED
    assert "nothing to hum" in result.stderr
    assert (tmp_path / "1.txt").is_file()
    found = json.loads(mm("run", "Sing", "--out", tmp_path, "--json").stdout)
    assert "nothing to hum" in found["parts"][1]["error"]
    assert found["parts"][1]["caption"] == "silence"


def test_a_request_may_be_files_alone(mm: Command, script: Callable[..., ScriptedReasoner], tmp_path: Path) -> None:
    reasoner = script("I see.")
    Image(np.zeros((3, 5, 3), dtype="uint8")).save(tmp_path / "it.png")
    assert mm("run", "--in", tmp_path / "it.png", "--out", tmp_path / "out").exit_code == OK
    (heard,) = reasoner.heard
    assert [medium.modality for medium in heard.media] == ["image"]


def test_a_file_of_a_users_modality_goes_in(
    mm: Command, script: Callable[..., ScriptedReasoner], shelf: Path, tmp_path: Path
) -> None:
    reasoner = script("Warm.")
    mm("new", "modality", "warmth", "--dir", shelf)
    np.save(tmp_path / "it.npy", np.ones((4, 6), dtype="float32"))
    (tmp_path / "it.npy").rename(tmp_path / "it.warmth")
    result = mm("run", "How warm is it?", "--in", tmp_path / "it.warmth", "--out", tmp_path / "out")
    assert result.exit_code == OK, result.stderr
    assert [medium.modality for medium in reasoner.heard[0].media] == ["warmth"]
    assert json.loads(mm("plan", "--in", tmp_path / "it.warmth", "--json").stdout)["nodes"]


def test_the_policy_is_obeyed(mm: Command, script: Callable[..., ScriptedReasoner], tmp_path: Path) -> None:
    cat = Signal("image", "a cat")
    script("Two: ", cat, cat)
    made = {
        options: json.loads(mm("run", "x", "--out", tmp_path, "--json", *options).stdout)["parts"]
        for options in ((), ("--max", "image=1"), ("--forbid", "image"), ("--budget", "1"))
    }
    counts = [sum(part["modality"] == "image" and "error" not in part for part in parts) for parts in made.values()]
    assert counts == [2, 1, 0, 0]


def test_a_tool_of_a_file_is_used(mm: Command, script: Callable[..., ScriptedReasoner], tmp_path: Path) -> None:
    (tmp_path / "chime.py").write_text(
        "import numpy as np\n\nfrom mmagent import Audio, Text, tool\n\n\n@tool\ndef chime(text: Text) -> Audio:\n"
        "    return Audio(np.zeros(80), 8000)\n"
    )
    script(Signal("audio", "a bell"))
    result = mm("run", "Ring", "--out", tmp_path / "out", "--tool", tmp_path / "chime.py")
    assert result.exit_code == OK, result.stderr
    assert Audio(tmp_path / "out" / "1.wav").rate == 8000


def test_a_graph_of_a_file_is_used_as_a_tool(
    mm: Command, script: Callable[..., ScriptedReasoner], tmp_path: Path
) -> None:
    graph = tmp_path / "poster.yaml"
    graph.write_text(
        "graph: poster\ninputs: {words: text}\nnodes:\n  paint: {tool: paint.v1, in: {text: words}}\n"
        "  size: {tool: resize.v1, in: {image: paint}, settings: {width: 9, height: 6}}\noutputs: {picture: size}\n"
    )
    script(Signal("image", "a sea", tool="poster.v1"))
    result = mm("run", "Make a poster", "--out", tmp_path / "out", "--tool", graph)
    assert result.exit_code == OK, result.stderr
    assert Image(tmp_path / "out" / "1.png").describe()["width"] == 9


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), USAGE, "nothing is asked"),
        (("x", "--force", "image", "--forbid", "image"), USAGE, "forces and forbids image"),
        (("x", "--force", "smell"), USAGE, "no modality 'smell'"),
        (("x", "--max", "image"), USAGE, "is not NAME=VALUE"),
        (("x", "--max", "image=many"), USAGE, "takes a count"),
        (("x", "--in", "absent.png"), INTAKE, "absent.png"),
        (("x", "--in", "https://example.org/cat.png"), INTAKE, "example.org"),
        (("x", "--tool", "absent.py"), TOOL, "is not a file"),
    ],
)
@pytest.mark.parametrize("command", ["run", "plan"])
def test_wrong_words_are_refused_and_nothing_is_written(
    mm: Command,
    script: Callable[..., ScriptedReasoner],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    words: tuple[str, ...],
    code: int,
    said: str,
) -> None:
    script("Hello.")
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.iterdir())
    result = mm(command, *words)
    assert said in result.stderr
    assert (result.exit_code, result.stdout) == (code, "")
    assert set(tmp_path.iterdir()) == before


def test_an_unknown_model_is_wrong_usage(mm: Command, tmp_path: Path) -> None:
    result = mm("run", "x", "--model", "gigantic", "--out", tmp_path / "out")
    assert (result.exit_code, result.stdout) == (USAGE, "")
    assert "pocket" in result.stderr


# -- plan


def test_a_request_is_planned_without_running_anything(
    mm: Command, script: Callable[..., ScriptedReasoner], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reasoner = script(*painted())
    monkeypatch.setenv("NO_LOADING", "1")
    Speech(np.zeros(1600), 16000).save(tmp_path / "question.wav")
    words = ("plan", "Draw a cat", "--in", tmp_path / "question.wav", "--json")
    result = mm(*words)
    assert result.exit_code == OK, result.stderr
    found = json.loads(result.stdout)
    assert reasoner.heard == []
    assert "turn-answer.v1" in [node["tool"] for node in found["nodes"]]
    assert found["makes"]["image"]["path"] == ["paint.v1"]
    assert found["makes"]["image"]["wire"] == "text"
    assert any(not item["accepted"] and item["reason"] for item in found["makes"]["speech"]["candidates"])
    assert found["seconds"] > 0
    refused = json.loads(mm(*words, "--budget", 1).stdout)["refused"]
    assert "over the budget of 1 s" in refused["image"]


def test_a_plan_in_words_names_routes_refusals_downloads_memory_and_seconds(
    mm: Command, script: Callable[..., ScriptedReasoner], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script(*painted())
    monkeypatch.setattr("mmagent.fetch.missing", lambda names: [name for name in names if "moonshine" in name])
    Speech(np.zeros(1600), 16000).save(tmp_path / "question.wav")
    shown = mm("plan", "--in", tmp_path / "question.wav", "--budget", 1).stdout
    assert "speech: hum.v1 by text" in shown
    assert "\n  not " in shown
    assert "image: cannot be made: " in shown
    assert "mmagent fetch moonshine-tiny-en" in shown
    assert "downloads: 44 MB" in shown
    assert "memory: " in shown
    assert "expected: " in shown


def test_a_graph_is_planned_by_name_and_by_file(mm: Command, shelf: Path, tmp_path: Path) -> None:
    (shelf / "tools" / "studio.py").write_text(TOOLS)
    graph = tmp_path / "two.yaml"
    graph.write_text(
        "graph: two\ninputs: {words: text}\nnodes:\n  paint: {tool: paint.v1, in: {text: words}}\n"
        "  hum: {tool: hum.v1, in: {text: words}}\noutputs: {picture: paint, sound: hum}\n"
    )
    (shelf / "graphs" / "two.yaml").write_text(graph.read_text())
    found = json.loads(mm("plan", graph, "--in", "words=x", "--json").stdout)
    assert found == json.loads(mm("plan", "two", "--json").stdout)
    assert (found["memory"], found["seconds"], found["downloads"]) == (5_000_000, 2.501, [])
    assert {node["tool"] for node in found["nodes"]} == {"paint.v1", "hum.v1"}
    assert mm("plan", graph, "--in", "mood=x").exit_code == USAGE
    graph.write_text(graph.read_text().replace("hum.v1", "howl.v1"))
    assert mm("plan", graph).exit_code == FAULTS


@pytest.mark.weights
def test_a_spoken_question_about_a_photograph_is_answered_in_speech(mm: Command, tmp_path: Path) -> None:
    result = mm(
        "run", "--in", EXAMPLES / "photo.png", "--in", EXAMPLES / "question.wav", "--force", "speech",
        "--out", tmp_path, "--json",
    )  # fmt: skip
    assert result.exit_code == OK, result.stderr
    parts = json.loads(result.stdout)["parts"]
    assert "speech" in [part["modality"] for part in parts]
    assert any("cat" in part.get("text", "").lower() for part in parts)
