"""The library: names to cards and graphs, what is kept and when it is dropped, and the graphs that we ship."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmagent import shelf, testing
from mmagent.card import Port
from mmagent.errors import GraphError, UnknownName
from mmagent.graph import yaml
from mmagent.graph.library import Library
from mmagent.graph.routes import routes
from mmagent.graph.spec import GraphSpec, NodeSpec
from mmagent.media import Image, Text
from mmagent.tool import tool

LOUD = "graph: loud\ndoc: Shout.\ninputs: {line: text}\nnodes: {up: {tool: upper, in: {text: line}}}\noutputs: {text: up}\n"
TWICE = (
    "graph: twice\ninputs: {line: text}\noutputs: {text: b}\n"
    "nodes:\n  a: {tool: loud, in: {line: line}}\n  b: {tool: join, in: {texts: [a, a]}}\n"
)


@pytest.fixture
def graphs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of graphs of a shelf of the user's own."""
    monkeypatch.setenv("MMAGENT_PATH", str(tmp_path))
    folder = tmp_path / "graphs"
    folder.mkdir()
    (folder / "loud.yaml").write_text(LOUD)
    (folder / "twice.yaml").write_text(TWICE)
    return folder


@pytest.fixture
def library() -> Library:
    return Library(testing.registry())


@pytest.mark.parametrize("name", sorted(path.stem for path in (shelf.own_shelf().graphs).glob("*.yaml")))
def test_every_graph_that_we_ship_checks_and_is_saved_with_full_names(name: str) -> None:
    library = Library()
    spec = library.load(name)
    assert spec.name == name
    assert spec.doc
    assert library.checked(spec).outputs
    assert library.pin(spec) == spec


def test_the_graphs_that_we_promise_are_there() -> None:
    ours = {path.stem for path in shelf.own_shelf().graphs.glob("*.yaml")}
    assert {"describe-picture", "transcribe", "speak", "caption-and-speak", "video-to-text"} <= ours


@pytest.mark.usefixtures("graphs")
def test_a_graph_is_a_tool_with_a_card(library: Library) -> None:
    card = library.card("loud")
    assert library.card("loud.v1") == card
    assert (card.name, card.kind, card.doc, card.lossy) == ("loud.v1", "converter", "Shout.", False)
    assert card.inputs == (Port("line", "text"),)
    assert card.outputs == (Port("text", "text"),)
    assert [node.name for node in library.checked("twice").nodes] == ["a/up", "b"]


def test_graphs_that_check_are_steps_on_routes_like_tools(graphs: Path, library: Library) -> None:
    (graphs / "broken.yaml").write_text("graph: [")
    (graphs / "tell.yaml").write_text(
        "graph: tell\ninputs: {p: points}\nnodes: {c: {tool: count, in: {items: p}}}\noutputs: {t: c}"
    )
    assert "tell.v1" not in [card.name for card in library.cards()]
    cards = library.cards(graphs=True)
    assert {"tell.v1", "loud.v1", "upper.v1"} <= {card.name for card in cards}
    assert "broken.v1" not in {card.name for card in cards}
    assert [str(route) for route in routes(cards, "points", "text", limit=1)] == ["tell"]


def test_the_card_of_a_graph_adds_up_its_longest_path(library: Library) -> None:
    @tool(cost=2.0, memory=7, needs=("extra:local",), lossy=True, cacheable=False)
    def slow(text: Text) -> Text:
        """Slow."""
        return text

    @tool(cost=0.5, memory=9)
    def quick(text: Text) -> Text:
        """Quick."""
        return text

    library.registry.add(slow, quick)
    nodes = {
        "a": NodeSpec("slow", {"text": "t"}), "b": NodeSpec("quick", {"text": "t"}), "c": NodeSpec("quick", {"text": "a"}),
    }  # fmt: skip
    spec = GraphSpec("paths", {"t": Port("t", "text")}, nodes, {"x": "c", "y": "b"})
    library.add(spec)
    card = library.card("paths")
    assert (card.cost, card.memory, card.needs) == (2.5, 9, ("extra:local",))
    assert card.lossy
    assert not card.cacheable


def test_an_unknown_name_lists_the_nearest(graphs: Path, library: Library) -> None:
    with pytest.raises(UnknownName, match="no tool or graph 'lod' is on a shelf; did you mean loud"):
        library.card("lod")
    with pytest.raises(UnknownName, match="no graph 'twic' is on a shelf; did you mean twice"):
        library.checked("twic")


def test_broken_graphs_are_listed_with_their_cause_and_break_no_other(graphs: Path, library: Library) -> None:
    (graphs / "syntax.yaml").write_text("graph: [")
    (graphs / "wrong.yaml").write_text(LOUD.replace("upper", "uper"))
    (graphs / "mine.yaml").write_text(LOUD)
    (graphs / "deep.yaml").write_text("graph: " + "[" * 3000)
    listed = {item.name: item for item in library.graphs()}
    assert not listed["loud"].broken
    assert listed["loud"].origin == str(graphs / "loud.yaml")
    assert "syntax.yaml:1" in listed["syntax"].broken
    assert "nested too deep" in listed["deep"].broken
    assert "expected the name of a tool or graph, got 'uper'; fix: did you mean upper?" in listed["wrong"].broken


def test_a_file_that_changes_is_read_again(graphs: Path, library: Library) -> None:
    first = library.checked("twice")
    assert library.checked("twice") is first
    (graphs / "loud.yaml").write_text(
        LOUD.replace("tool: upper", "tool: halve").replace("text: up}", "text: up.first}")
    )
    assert [node.card.name for node in library.checked("twice").nodes] == ["halve.v1", "join.v1"]


def test_a_tool_that_changes_drops_what_was_checked_with_it(graphs: Path, library: Library) -> None:
    first = library.checked("loud")

    @tool(name="upper")
    def other(text: Text) -> Image:
        """Not what it was."""
        raise NotImplementedError

    library.registry.add(other)
    assert library.checked("loud") is not first
    assert library.checked("loud").output_ports["text"].modality == "image"


def test_paths_and_specs_are_checked_too(graphs: Path, library: Library) -> None:
    by_path = library.checked(graphs / "loud.yaml")
    assert library.checked(str(graphs / "loud.yaml")) is by_path
    assert library.checked(yaml.read(graphs / "loud.yaml")) is by_path
    with pytest.raises(GraphError, match="No such file"):
        library.checked("nowhere/none.yaml")


def test_equal_graphs_are_checked_once_and_others_apart(library: Library) -> None:
    spec = yaml.parse(LOUD)
    first = library.checked(spec)
    assert library.checked(yaml.parse(LOUD)) is first
    assert library.checked(spec, wanted=["text"]) is not first
    assert library.checked(yaml.parse(LOUD.replace("Shout", "Cry"))) is not first


def test_saving_writes_full_names(graphs: Path, library: Library) -> None:
    pinned = library.pin(library.load("twice"))
    assert [node.tool for node in pinned.nodes.values()] == ["loud.v1", "join.v1"]
    assert library.checked(pinned).nodes[0].name == "a/up"


def test_both_endings_of_yaml_are_graphs_by_name_and_by_path(graphs: Path, library: Library) -> None:
    short = (graphs / "loud.yaml").rename(graphs / "loud.yml")
    assert library.checked("loud") == library.checked(short) == library.checked(str(short))
    assert "loud" in [item.name for item in library.graphs() if not item.broken]


@pytest.mark.usefixtures("graphs")
def test_a_tool_hides_a_graph_of_its_name(library: Library) -> None:
    @tool(name="loud")
    def loud(line: Text) -> Text:
        """A tool."""
        return line

    library.registry.add(loud)
    assert library.find("loud") == loud.card
