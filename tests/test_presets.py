"""Tools with settings of their own, cards that follow settings, and ports of which exactly one is given."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import pytest

from mmagent import Constraint, Embedding, Image, MMAgentError, Preset, Signal, Text, Tool, tool
from mmagent.card import Card, Port, Scalar
from mmagent.conformance import check as conform
from mmagent.conversation import Policy
from mmagent.engine import Engine, Store
from mmagent.errors import BrokenTool, CardError, GraphError
from mmagent.graph.builder import GraphBuilder
from mmagent.graph.library import Library
from mmagent.graph.routes import routes
from mmagent.registry import Registry, forget
from mmagent.router import route
from mmagent.shelf import tool_files

FILE = '''
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from mmagent import Embedding, Image, Tool
from mmagent.errors import CardError


class Squares(Tool, name="squares.v1", cost=0.5):
    """Encode a picture as so many numbers."""

    def __init__(self, model: str, layer: int = -1) -> None:
        self.model, self.layer = model, layer

    @classmethod
    def card_for(cls, settings):
        try:
            config = json.loads(Path(settings["model"]).read_text())
        except OSError:
            raise CardError(f"squares.v1: model {settings['model']} is not there; name a file") from None
        (made,) = cls.card.outputs
        space = f"squares-{config['width']}.l{settings['layer']}"
        made = replace(made, constraints={"tokens": 1, "width": config["width"], "space": space})
        return replace(cls.card, outputs=(made,), weights=f"w{config['width']}", memory=config["width"])

    def load(self) -> None:
        self.width = json.loads(Path(self.model).read_text())["width"]

    def run(self, image: Image, times: int = 1) -> Embedding:
        return Embedding(np.full((1, self.width), float(times)), f"squares-{self.width}.l{self.layer}")
'''


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "tools"
    folder.mkdir()
    (folder / "squares.py").write_text(FILE)
    (folder / "small.json").write_text(json.dumps({"width": 3}))
    monkeypatch.setenv("MMAGENT_PATH", str(tmp_path))
    for name in tool_files():
        forget(name)
    yield folder
    for name in tool_files():
        forget(name)


def picture() -> Image:
    return Image(np.zeros((2, 2, 3), np.uint8))


def test_a_line_of_yaml_makes_a_tool_whose_card_follows_its_settings(shelf: Path) -> None:
    (shelf / "mine.yaml").write_text(
        "my-squares: {tool: squares, model: ./small.json, times: 2, cost: 3, doc: Small ones.}"
    )
    card = Registry().card("my-squares")
    assert (card.name, card.cost, card.doc, card.weights, card.memory) == ("my-squares.v1", 3, "Small ones.", "w3", 3)
    assert card.outputs[0].constraints == {"tokens": 1, "width": 3, "space": "squares-3.l-1"}
    assert [(item.name, item.default, item.required) for item in card.settings] == [
        ("model", str(shelf / "small.json"), False),
        ("layer", -1, False),
        ("times", 2, False),
    ]
    assert "my-squares.v1" in [item.name for item in Registry().cards()]

    builder = GraphBuilder("encode")
    node = builder.add("n", "my-squares", image=builder.input("picture", Image))
    builder.output("out", node)
    (made,) = Engine().run(builder.checked(), {"picture": picture()}).outputs.values()
    assert isinstance(made, Embedding)
    assert made.array.tolist() == [[2.0] * 3]


def test_a_preset_is_read_anew_when_its_file_or_its_model_changes(shelf: Path) -> None:
    preset = shelf / "mine.yaml"
    preset.write_text("one: {tool: squares, model: ./small.json}")
    registry = Registry()
    assert registry.card("one").weights == "w3"
    (shelf / "small.json").write_text(json.dumps({"width": 40}))
    assert registry.card("one").weights == "w40"
    preset.write_text("two: {tool: squares, model: ./small.json, layer: 2}")
    assert registry.get("one") is None
    assert registry.card("two").outputs[0].constraints["space"] == "squares-40.l2"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("mine: {tool: squares, model: ./gone.json}", "gone.json is not there; name a file"),
        ("mine: {tool: circles}", "no tool 'circles' is on a shelf"),
        ("mine: {tool: squares, modle: x}", "no setting 'modle'; it has model, layer, times"),
        ("mine: {tool: squares, model: x, layer: high}", "setting layer takes int, not 'high'"),
        ("mine: {model: x}", "names no tool"),
        ("mine: squares", "names no tool"),
        ("Mine: {tool: squares}", "is not kebab-case"),
        ("squares: {tool: squares, model: ./small.json}", "has the name of a tool, which hides it"),
    ],
)
def test_a_line_that_is_wrong_is_listed_with_the_reason_and_breaks_no_other(
    shelf: Path, line: str, reason: str
) -> None:
    (shelf / "mine.yaml").write_text(f"{line}\ngood: {{tool: squares, model: ./small.json}}\n")
    listed = {item.name: item.broken for item in Registry().listings() if item.origin.endswith("mine.yaml")}
    assert listed.pop("good.v1") == ""
    ((name, broken),) = listed.items()
    assert reason in broken
    if name not in ("squares", "Mine"):
        with pytest.raises((BrokenTool, CardError), match=re.escape(reason)):
            Registry().card(name)


@pytest.mark.parametrize(("text", "reason"), [("- a\n- b", "holds list"), ("a: [", "no YAML"), ("\xff", "no YAML")])
def test_a_file_that_is_no_mapping_is_listed_as_broken(shelf: Path, text: str, reason: str) -> None:
    (shelf / "mine.yaml").write_bytes(text.encode("latin-1"))
    (listing,) = [item for item in Registry().listings() if item.origin.endswith("mine.yaml")]
    assert reason in listing.broken


def test_a_graph_checks_a_node_by_the_card_that_its_settings_give(shelf: Path) -> None:
    @tool
    def read(states: Annotated[Embedding, Constraint(space="squares-3.l5")]) -> Text:
        return Text(str(states.array.shape[1]))

    def graph(**settings: Scalar) -> GraphBuilder:
        builder = GraphBuilder("encode")
        node = builder.add("n", "squares", image=builder.input("picture", Image), **settings)
        builder.output("out", builder.add("read", read, states=node))
        return builder

    small = str(shelf / "small.json")
    good = graph(model=small, layer=5)
    assert good.checked().nodes[0].card.weights == "w3"
    assert Engine().run(good.checked(), {"picture": picture()}, registry=good.registry).outputs == {"out": Text("3")}
    with pytest.raises(GraphError, match=r"space=squares-3.l4"):
        graph(model=small, layer=4).checked()
    with pytest.raises(GraphError, match=r"settings that it takes.*gone is not there.*name a file"):
        graph(model="gone", layer=5).checked()
    with pytest.raises(GraphError, match=r"model.*nothing"):
        graph(layer=5).checked()


def test_a_kept_check_is_made_again_when_the_model_changes(shelf: Path) -> None:
    library = Library(Registry())
    builder = GraphBuilder("encode")
    node = builder.add("n", "squares", image=builder.input("picture", Image), model=str(shelf / "small.json"))
    builder.output("out", node)
    spec = builder.build()
    assert library.checked(spec) is library.checked(spec)
    (shelf / "small.json").write_text(json.dumps({"width": 40}))
    assert library.checked(spec).output_ports["out"].constraints["width"] == 40


def test_weights_that_change_under_a_running_engine_are_loaded_anew_and_stored_as_themselves(
    shelf: Path, tmp_path: Path
) -> None:
    (shelf / "mine.yaml").write_text("mine: {tool: squares, model: ./small.json}")
    builder = GraphBuilder("encode")
    builder.output("out", builder.add("n", "mine", image=builder.input("picture", Image)))
    spec = builder.build()

    def width(engine: Engine) -> int:
        library = Library(Registry())
        made = engine.run(library.checked(spec), {"picture": picture()}, registry=library.registry).outputs["out"]
        assert isinstance(made, Embedding)
        return int(made.array.shape[1])

    engine = Engine(store=Store(tmp_path / "store"))
    assert width(engine) == 3
    (shelf / "small.json").write_text(json.dumps({"width": 40}))
    assert width(engine) == 40
    (shelf / "small.json").write_text(json.dumps({"width": 3}))
    assert width(engine) == 3
    engine.close()
    assert width(Engine(store=Store(tmp_path / "store"))) == 3


def test_presets_of_one_tool_with_equal_settings_share_what_is_loaded() -> None:
    loads: list[str] = []

    class Heavy(Tool):
        def __init__(self, model: str = "a") -> None:
            self.model = model

        def load(self) -> None:
            loads.append(self.model)

        def run(self, text: Text) -> Text:
            return Text(text.text + self.model)

    builder = GraphBuilder("both")
    text = builder.input("text", Text)
    for name, model in (("one", "b"), ("two", "b"), ("three", "c")):
        builder.output(name, builder.add(name, Preset(name, Heavy, {"model": model}), text=text))
    result = Engine().run(builder.checked(), {"text": Text("x")}, registry=builder.registry)
    assert result.outputs == {"one": Text("xb"), "two": Text("xb"), "three": Text("xc")}
    assert sorted(loads) == ["b", "c"]


def test_a_card_that_says_it_is_not_cacheable_with_these_settings_is_not_cached() -> None:
    class Calls(list[str]):
        """What a list holds would be part of what the tool is."""

    calls = Calls()

    class Fickle(Tool):
        @classmethod
        def card_for(cls, settings: Mapping[str, Scalar]) -> Card:
            return replace(cls.card, cacheable=settings["known"] is True)

        def __init__(self, known: bool = False) -> None:
            self.known = known

        def run(self, text: Text) -> Text:
            calls.append(text.text)
            return text

    for known, expected in ((False, 2), (True, 3)):
        engine, builder = Engine(), GraphBuilder("fickle")
        builder.output("out", builder.add("n", Fickle, text=builder.input("text", Text), known=known))
        for _ in range(2):
            engine.run(builder.checked(), {"text": Text("a")}, registry=builder.registry)
        assert len(calls) == expected


def test_a_fallback_keeps_its_own_model(shelf: Path) -> None:
    (shelf / "other.json").write_text(json.dumps({"width": 3}))
    (shelf / "mine.yaml").write_text("backup: {tool: squares, model: ./other.json, layer: -1}")
    builder = GraphBuilder("encode")
    node = builder.add(
        "n",
        "squares",
        {"fallback": ["backup"]},
        image=builder.input("picture", Image),
        model=str(shelf / "small.json"),
        times=4,
    )
    builder.output("out", node)
    (fallback,) = builder.checked().nodes[0].fallbacks
    assert fallback.settings == {"model": str(shelf / "other.json"), "layer": -1, "times": 4}


def test_a_card_that_cannot_be_told_is_an_error_of_ours(shelf: Path) -> None:
    (shelf / "small.json").write_text('{"width": ')
    builder = GraphBuilder("encode")
    node = builder.add("n", "squares", image=builder.input("picture", Image), model=str(shelf / "small.json"))
    builder.output("out", node)
    with pytest.raises(GraphError, match=r"cannot tell its card: JSONDecodeError"):
        builder.checked()


def test_a_preset_whose_model_is_gone_hides_no_other_tool(shelf: Path) -> None:
    registry = Registry()
    squares = registry.find("squares")
    registry.add(Preset("mine", squares, {"model": str(shelf / "small.json")}))
    (shelf / "small.json").unlink()
    assert registry.get("resize") is not None
    assert registry.get("mine") is not None
    listed = {item.name: item.broken for item in registry.listings()}
    assert "is not there" in listed["mine.v1"]
    assert "mine.v1" not in {card.name for card in registry.cards()}


class Paint(Tool, name="paint.v1", either=("prompt", "prompt_embeds")):
    """Paint a picture of what a text or an embedding says."""

    def __init__(self, space: str = "a.text") -> None:
        self.space = space

    def run(
        self,
        prompt: Text | None = None,
        prompt_embeds: Annotated[Embedding, Constraint(space="$space")] | None = None,
        negative_prompt: Text | None = None,
    ) -> Image:
        assert (prompt is None) != (prompt_embeds is None)
        return Image(np.full((2, 2, 3), 1 if prompt else 2, np.uint8))


def painted(**feeds: type[Text] | type[Embedding]) -> GraphBuilder:
    builder = GraphBuilder("paint-it")
    ports = {name: builder.input(f"in-{name}", kind) for name, kind in feeds.items()}
    builder.output("image", builder.add("n", Paint, **ports))
    return builder


def test_exactly_one_of_either_is_connected() -> None:
    painted(prompt=Text).checked()
    with pytest.raises(
        GraphError, match="one of prompt or prompt_embeds, got none; fix: connect prompt or prompt_embeds"
    ):
        painted(negative_prompt=Text).checked()
    with pytest.raises(GraphError, match="got prompt and prompt_embeds; fix: keep prompt, take out prompt_embeds"):
        painted(prompt=Text, prompt_embeds=Embedding).checked()


def test_a_call_without_what_either_names_is_skipped() -> None:
    @tool
    def maybe(text: Text) -> Text | None:
        return text if text.text else None

    builder = GraphBuilder("paint-it")
    words = builder.add("maybe", maybe, text=builder.input("text", Text))
    builder.output("image", builder.add("n", Paint, prompt=words))
    engine = Engine()
    run = {text: engine.run(builder.checked(), {"text": Text(text)}, registry=builder.registry) for text in ("a", "")}
    assert [result.outputs["image"] is None for result in run.values()] == [False, True]


def test_the_router_takes_whichever_of_either_it_has() -> None:
    card = Paint.card_for({"space": "a.text"})
    (generator,) = (replace(card, inputs=tuple(_resolved(port) for port in card.inputs)),)
    projector = Card("p.v1", "converter", (_embedding("states", "llm"),), (_embedding("embedding", "a.text"),))
    states = Embedding(np.zeros((1, 2)), "llm")
    with_states = route(Signal("image", "a cat", states), Policy(), [generator], [projector])
    assert (with_states.wire, with_states.path) == ("embedding", ("p.v1", "paint.v1"))
    assert with_states.graph.nodes["paint"].inputs == {"prompt_embeds": "p.embedding"}
    without = route(Signal("image", "a cat"), Policy(), [generator], [projector])
    assert (without.wire, without.path) == ("text", ("paint.v1",))
    assert without.graph.nodes["paint"].inputs == {"prompt": "caption"}
    (found,) = routes([generator], "text", "image")
    assert found.hops[0].input == "prompt"


def _embedding(name: str, space: str) -> Port:
    return Port(name, "embedding", constraints={"space": space})


def _resolved(port: Port) -> Port:
    return replace(port, constraints={"space": "a.text"}) if port.constraints else port


def test_every_choice_of_either_is_tried_by_the_check_of_a_tool() -> None:
    assert all(item.status != "fail" for item in conform(Paint))

    class Half(Tool, either=("prompt", "image")):
        def run(self, prompt: Text | None = None, image: Image | None = None) -> Image:
            assert prompt is not None
            return Image(np.zeros((2, 2, 3), np.uint8))

    assert any(item.status == "fail" for item in conform(Half))


@pytest.mark.parametrize("either", [("prompt",), ("prompt", "prompt"), ("prompt", "other"), "prompt"])
def test_either_names_two_or_more_optional_inputs(either: object) -> None:
    with pytest.raises(CardError, match="either is a tuple of two or more optional inputs"):

        class Wrong(Tool, either=either):
            def run(self, prompt: Text | None = None, image: Image | None = None) -> Text:
                return Text("")


def test_a_preset_in_python_joins_a_graph_as_any_tool() -> None:
    preset = Preset("blue", Paint, {"space": "blue.text"}, doc="Blue ones.")
    assert preset.card.name == "blue.v1"
    assert preset == Preset("blue", Paint, {"space": "blue.text"}, doc="Blue ones.") != Preset("blue", Paint, {})
    builder = GraphBuilder("paint-it")
    builder.output("image", builder.add("n", preset, prompt=builder.input("text", Text)))
    result = Engine().run(builder.checked(), {"text": Text("a")}, registry=builder.registry)
    assert isinstance(result.outputs["image"], Image)
    with pytest.raises(MMAgentError, match="no setting 'spice'"):
        Preset("blue", Paint, {"spice": "blue.text"})


def test_settings_of_a_card_that_does_not_follow_them_are_never_asked_for() -> None:
    @tool
    def plain(text: Text) -> Text:
        return text

    settings: Mapping[str, Scalar] = {}
    assert plain.card_for(settings) is plain.card
    assert not plain.card.follows_settings
    assert not Paint.card.follows_settings
