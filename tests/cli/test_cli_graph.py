"""`mmagent graph`: what there is, what is wrong with it, pictures of it, and running it on files and words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result

from mmagent.cli.exits import FAILED, FAULTS, INTAKE, OK, TOOL, USAGE
from mmagent.graph import yaml
from mmagent.media import Image, Text

Command = Callable[..., Result]

TOOLS = '''
from typing import Literal

import numpy as np

from mmagent import Context, Image, Text, tool


@tool
def paint(text: Text, ctx: Context, size: int = 8) -> Image:
    """A square of one colour, which the text and the seed decide."""
    colour = np.frombuffer(bytes.fromhex(text.digest[:6]), dtype="uint8") ^ (ctx.seed % 251)
    return Image(np.broadcast_to(colour, (size, size, 3)))


@tool
def look(image: Image) -> Text:
    """How large a picture is."""
    return Text(f"{image.width} by {image.height}")


@tool
def gather(texts: list[Text], between: Literal["+", "-"] = "+") -> Text:
    """Several texts as one."""
    return Text(between.join(text.text for text in texts))


@tool
def burn(text: Text) -> Text:
    """Always fails."""
    raise ValueError("it burnt")
'''

SKETCH = """
graph: sketch
doc: Paint what is said, and say how large it is.
inputs: {words: text, note: text | None}
nodes:
  paint: {tool: paint.v1, in: {text: words}, settings: {size: 4}}
  look: {tool: look.v1, in: {image: paint}}
outputs: {picture: paint, size: look}
"""
GATHERED = """
graph: gathered
inputs: {words: "list[text]"}
nodes:
  gather: {tool: gather.v1, in: {texts: words}}
outputs: {text: gather}
"""
HALF = """
graph: half
inputs: {words: text}
nodes:
  paint: {tool: paint.v1, in: {text: words}}
  burn: {tool: burn.v1, in: {text: words}}
outputs: {picture: paint, text: burn}
"""
FAULTY = """
graph: faulty
inputs: {words: text}
nodes:
  look: {tool: look.v1, in: {image: words}}
  gone: {tool: no-such-tool.v1, in: {text: words}}
outputs: {size: look, other: gone}
"""


@pytest.fixture(autouse=True)
def graphs(shelf: Path) -> Path:
    (shelf / "tools" / "drawing.py").write_text(TOOLS)
    for name, text in (("sketch", SKETCH), ("gathered", GATHERED), ("half", HALF)):
        (shelf / "graphs" / f"{name}.yaml").write_text(text)
    return shelf / "graphs"


def test_graphs_are_listed_with_their_ports_and_broken_ones_with_the_cause(mm: Command, graphs: Path) -> None:
    (graphs / "faulty.yaml").write_text(FAULTY)
    rows = {line.split("\t")[0]: line.split("\t")[1:] for line in mm("graph", "list").stdout.splitlines()}
    assert rows["sketch"][:2] == ["words: text, note: text | None", "picture, size"]
    assert rows["faulty"][0] == "broken"
    listed = {item["name"]: item for item in json.loads(mm("graph", "list", "--json").stdout)}
    assert listed["sketch"]["inputs"]["words"] == "text"
    assert "no-such-tool" in listed["faulty"]["broken"]


def test_a_graph_is_shown_in_three_formats(mm: Command, graphs: Path) -> None:
    assert mm("graph", "show", "sketch").stdout.startswith("flowchart")
    assert mm("graph", "show", "sketch", "--format", "svg").stdout.startswith("<svg")
    shown = mm("graph", "show", graphs / "sketch.yaml", "--format", "yaml").stdout
    assert yaml.parse(shown) == yaml.read(graphs / "sketch.yaml").without_origin()


def test_check_prints_every_fault_of_every_file_and_exits_3(mm: Command, graphs: Path, tmp_path: Path) -> None:
    faulty = tmp_path / "faulty.yaml"
    faulty.write_text(FAULTY)
    result = mm("graph", "check", faulty, graphs / "sketch.yaml")
    assert result.exit_code == FAULTS
    assert "node look, port image: expected image, got text" in result.stdout
    assert "no-such-tool" in result.stdout
    assert f"{graphs / 'sketch.yaml'}: no fault" in result.stdout
    found = json.loads(mm("graph", "check", faulty, "sketch", "--json").stdout)
    assert len(found[str(faulty)]) >= 2
    assert found["sketch"] == []


def test_a_sound_graph_checks(mm: Command) -> None:
    assert mm("graph", "check", "sketch").exit_code == OK


def test_a_run_saves_media_and_prints_text(mm: Command, tmp_path: Path) -> None:
    result = mm("graph", "run", "sketch", "words=a red cat", "--out", tmp_path / "out")
    assert result.exit_code == OK, result.stderr
    assert "size: 4 by 4" in result.stdout
    assert Image.open(tmp_path / "out" / "picture.png").describe()["width"] == 4
    assert Text.open(tmp_path / "out" / "size.txt") == Text("4 by 4")
    assert "paint (paint.v1) finished" in result.stderr


def test_settings_seed_and_json(mm: Command, tmp_path: Path) -> None:
    words = ("graph", "run", "sketch", "words=x", "--out", tmp_path, "--set", "paint.size=16", "--json")
    result = mm(*words, "--seed", 7)
    found = json.loads(result.stdout)
    assert found["outputs"]["size"][0]["text"] == "16 by 16"
    assert found["outputs"]["picture"][0]["path"] == str(tmp_path / "picture.png")
    assert found["failures"] == {}
    assert {call["node"] for call in found["calls"]} == {"paint", "look"}
    digest = found["outputs"]["picture"][0]["digest"]
    assert json.loads(mm(*words, "--seed", 7).stdout)["outputs"]["picture"][0]["digest"] == digest
    assert json.loads(mm(*words, "--seed", 8).stdout)["outputs"]["picture"][0]["digest"] != digest


def test_text_alone_needs_no_folder_and_lists_take_an_input_several_times(mm: Command, tmp_path: Path) -> None:
    (tmp_path / "two.txt").write_text("two")
    result = mm("graph", "run", "gathered", "words=one", f"words=@{tmp_path / 'two.txt'}", "--quiet")
    assert (result.exit_code, result.stdout, result.stderr) == (OK, "text: one+two\n", "")


def test_a_failing_node_exits_5_and_the_other_outputs_are_kept(mm: Command, tmp_path: Path) -> None:
    result = mm("graph", "run", "half", "words=x", "--out", tmp_path / "out")
    assert result.exit_code == FAILED
    assert "error: node burn (burn.v1) failed: ValueError: it burnt" in result.stderr
    assert (tmp_path / "out" / "picture.png").is_file()
    found = json.loads(mm("graph", "run", "half", "words=x", "--out", tmp_path / "out", "--json").stdout)
    assert list(found["outputs"]) == ["picture"]
    assert "it burnt" in found["failures"]["burn"]


def test_tools_of_a_further_file_can_be_used(mm: Command, tmp_path: Path) -> None:
    (tmp_path / "more.py").write_text(
        "from mmagent import Text, tool\n\n\n@tool\ndef whisper(text: Text) -> Text:\n    return Text(text.text.lower())\n"
    )
    graph = tmp_path / "quiet.yaml"
    graph.write_text(
        "graph: quiet\ninputs: {words: text}\nnodes:\n  w: {tool: whisper.v1, in: {text: words}}\noutputs: {text: w}\n"
    )
    assert mm("graph", "run", graph, "words=LOUD").exit_code == FAULTS
    result = mm("graph", "run", graph, "words=LOUD", "--tool", tmp_path / "more.py")
    assert result.stdout == "text: loud\n"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("sketch", "words=x"), USAGE, "say where to keep it: --out"),
        (("sketch", "mood=x"), USAGE, "has no input 'mood'; it has words (text)"),
        (("sketch", "words=x", "words=y"), USAGE, "takes one value, not 2"),
        (("sketch", "words"), USAGE, "is not NAME=VALUE"),
        (("sketch", "--out", "o"), FAULTS, "pass words="),
        (("sketch", "words=x", "--set", "brush.size=3"), USAGE, "has no node 'brush'; it has paint, look"),
        (("sketch", "words=x", "--set", "paint.size=big"), USAGE, "size takes int"),
        (("sketch", "words=x", "--set", "paint.colour=1"), USAGE, "no setting 'colour'"),
        (("gathered", "words=x", "--set", "gather.between=*"), USAGE, "one of '+', '-'"),
        (("sketch", "words=@absent.txt", "--out", "o"), INTAKE, "absent.txt"),
        (("sketchy", "words=x"), USAGE, "did you mean sketch"),
        (("sketch", "words=x", "--tool", "absent.py"), TOOL, "is not a file"),
    ],
)
def test_wrong_words_are_refused_by_name(
    mm: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], code: int, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = mm("graph", "run", *words)
    assert said in result.stderr
    assert (result.exit_code, result.stdout) == (code, "")


def test_a_picture_goes_in_by_its_path(mm: Command, tmp_path: Path, graphs: Path) -> None:
    Image(np.zeros((3, 5, 3), dtype="uint8")).save(tmp_path / "it.png")
    (graphs / "measure.yaml").write_text(
        "graph: measure\ninputs: {it: image}\nnodes:\n  look: {tool: look.v1, in: {image: it}}\noutputs: {size: look}\n"
    )
    assert mm("graph", "run", "measure", f"it={tmp_path / 'it.png'}").stdout == "size: 5 by 3\n"
    wrong = mm("graph", "run", "measure", f"it={graphs / 'measure.yaml'}")
    assert (wrong.exit_code, wrong.stdout) == (INTAKE, "")
