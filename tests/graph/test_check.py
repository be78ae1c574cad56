"""The check: what it accepts, what it makes of it, and what it says when it refuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmagent import testing
from mmagent.card import Card, Port, Scalar
from mmagent.errors import Fault, GraphError, UnknownName
from mmagent.graph import yaml
from mmagent.graph.check import check
from mmagent.graph.checked import INPUT, CheckedGraph, CheckedNode, Origin
from mmagent.graph.spec import GraphSpec, NodeSpec
from mmagent.media import Audio, Embedding, Image, Speech, Text
from mmagent.tool import Constraint, ToolType, tool

Sound = TypeVar("Sound", bound=Audio)


@tool
def mix(one: Sound, other: Sound) -> Sound:
    """Two sounds at once."""
    return one


@tool
def embed(text: Text) -> Annotated[Embedding, Constraint(space="one", width=4)]:
    """A text in space one."""
    raise NotImplementedError


@tool
def paint(prompt: Annotated[Embedding, Constraint(space="other", width=4)]) -> Image:
    """A picture of what is in the other space."""
    raise NotImplementedError


@tool
def scale(image: Image, width: int) -> Annotated[Image, Constraint(width="$width")]:
    """A picture at a width that has to be given."""
    raise NotImplementedError


@tool(lossy=True)
def look(image: Annotated[Image, Constraint(width="$size")], size: int = 32) -> Text:
    """What is in a picture of one size."""
    raise NotImplementedError


@tool(name="upper.v2")
def upper2(text: Text) -> Text:
    """A later upper."""
    return text


TOOLS: tuple[ToolType, ...] = (
    testing.upper, testing.join, testing.halve, testing.words, testing.caption, testing.tone, testing.thin,
    testing.hear, testing.blank, mix, embed, paint, scale, look, upper2,
)  # fmt: skip


class Catalog:
    """Exactly these tools and graphs."""

    def __init__(self, *graphs: GraphSpec, tools: Sequence[ToolType] = TOOLS) -> None:
        self.graphs = {graph.name: graph for graph in graphs}
        self.tools = [item.card for item in tools]

    def find(self, name: str) -> Card | GraphSpec:
        matches = [card for card in self.tools if name in (card.name, card.short)]
        if matches:
            return max(matches, key=lambda card: card.name)
        if name in self.graphs:
            return self.graphs[name]
        raise UnknownName(f"no tool {name!r} is on a shelf; did you mean another?")

    def card_for(self, name: str, settings: Mapping[str, Scalar]) -> Card:
        return next(card for card in self.tools if card.name == name)

    def cards(self) -> list[Card]:
        return self.tools


def graph(text: str) -> GraphSpec:
    return yaml.parse(f"graph: test\n{text}")


def checked(text: str, *graphs: GraphSpec, **options: Any) -> CheckedGraph:
    return check(graph(text), Catalog(*graphs), **options)


def faults(text: str, *graphs: GraphSpec) -> list[Fault]:
    with pytest.raises(GraphError) as caught:
        checked(text, *graphs)
    return list(caught.value.faults)


def fault(text: str, *graphs: GraphSpec) -> str:
    (only,) = faults(text, *graphs)
    return str(only)


def node(graph: CheckedGraph, name: str) -> CheckedNode:
    return next(item for item in graph.nodes if item.name == name)


# -- what is accepted


def test_a_chain_is_typed_and_in_order() -> None:
    made = checked(
        "inputs: {line: text}\noutputs: {picture: draw}\n"
        "nodes:\n  draw: {tool: blank, in: {text: loud}, settings: {size: 4}}\n  loud: {tool: upper.v1, in: {text: line}}"
    )
    assert [(item.name, item.card.name, item.settings) for item in made.nodes] == [
        ("loud", "upper.v1", {}),
        ("draw", "blank.v1", {"size": 4}),
    ]
    assert made.outputs == {"picture": Origin("draw", "image")}
    assert made.output_ports == {"picture": Port("picture", "image")}
    assert node(made, "loud").edges[0].origins == (Origin(INPUT, "line"),)


def test_a_name_without_version_is_the_highest() -> None:
    made = checked("inputs: {t: text}\nnodes: {a: {tool: upper, in: {text: t}}}\noutputs: {o: a}")
    assert made.nodes[0].card.name == "upper.v2"


def test_defaults_fill_the_settings() -> None:
    made = checked("inputs: {t: text}\nnodes: {a: {tool: tone, in: {text: t}}}\noutputs: {o: a}")
    assert made.nodes[0].settings == {"rate": 8000}
    assert made.output_ports["o"] == Port("o", "speech", constraints={"rate": 8000, "channels": 1})


def test_a_variable_keeps_speech_speech_and_meets_at_the_common_modality() -> None:
    made = checked(
        "inputs: {a: speech, b: audio}\noutputs: {slow: thin, both: mix}\n"
        "nodes:\n  thin: {tool: thin, in: {audio: a}, settings: {rate: 100}}\n  mix: {tool: mix, in: {one: a, other: b}}"
    )
    assert made.output_ports["slow"] == Port("slow", "speech", constraints={"rate": 100})
    assert made.output_ports["both"] == Port("both", "audio")
    assert [edge.port.modality for edge in node(made, "mix").edges] == ["audio", "audio"]
    assert all(edge.port.variable is None for item in made.nodes for edge in item.edges)


def test_a_list_port_takes_one_value_several_or_none() -> None:
    made = checked(
        "inputs: {a: text, b: 'list[text]'}\noutputs: {one: one, two: two, none: none}\n"
        "nodes:\n  one: {tool: join, in: {texts: a}}\n  two: {tool: join, in: {texts: [a, b]}}\n"
        "  none: {tool: join, in: {texts: []}}"
    )
    assert [origin.port for origin in node(made, "two").edges[0].origins] == ["a", "b"]
    assert node(made, "one").edges[0].port.many
    assert node(made, "none").edges[0].origins == ()


def test_each_runs_over_a_list_and_gives_lists() -> None:
    made = checked(
        "inputs: {t: text}\noutputs: {o: loud, all: all}\nnodes:\n  words: {tool: words, in: {text: t}}\n"
        "  loud: {tool: upper.v1, each: text, in: {text: words}}\n  all: {tool: join, in: {texts: loud}}"
    )
    loud = node(made, "loud")
    assert loud.spec.each == "text"
    assert loud.outputs == (Port("text", "text", many=True),)
    assert loud.edges[0].port.many
    assert made.output_ports["o"] == Port("o", "text", many=True)


def test_what_may_be_absent_feeds_required_ports_and_makes_the_output_optional() -> None:
    made = checked(
        "inputs: {t: text}\noutputs: {rest: loud, first: first, all: all}\nnodes:\n  cut: {tool: halve, in: {text: t}}\n"
        "  loud: {tool: upper.v1, in: {text: cut.rest}}\n  first: {tool: upper.v1, in: {text: cut.first}}\n"
        "  all: {tool: join, in: {texts: [cut.first, loud]}}"
    )
    assert {name: port.optional for name, port in made.output_ports.items()} == {
        "rest": True,
        "first": False,
        "all": False,
    }


def test_only_what_is_wanted_is_kept_and_the_other_inputs_become_optional() -> None:
    text = (
        "inputs: {a: text, b: text}\noutputs: {x: x, y: y}\nnodes:\n  x: {tool: upper.v1, in: {text: a}}\n"
        "  y: {tool: no-such-tool, in: {text: b}}"
    )
    made = checked(text, wanted=["x"])
    assert [item.name for item in made.nodes] == ["x"]
    assert made.inputs == {"a": Port("a", "text"), "b": Port("b", "text", optional=True)}
    with pytest.raises(GraphError, match="no-such-tool"):
        checked(text)
    with pytest.raises(GraphError, match="an output of the graph, got no such output; fix: did you mean"):
        checked("inputs: {a: text}\noutputs: {xyz: a}", wanted=["xyx"])


def test_a_long_chain_is_no_deeper_than_python_allows() -> None:
    nodes = {f"n{i}": NodeSpec("upper.v1", {"text": f"n{i - 1}" if i else "t"}) for i in range(5000)}
    made = check(GraphSpec("long", {"t": Port("t", "text")}, nodes, {"o": "n4999"}), Catalog())
    assert [item.name for item in made.nodes] == list(nodes)


@given(st.randoms(use_true_random=False), st.integers(1, 12))
def test_nodes_come_after_what_they_need_whatever_the_order_in_the_file(random: Any, size: int) -> None:
    parents = {i: tuple(f"n{j}" for j in range(i) if random.random() < 0.3) for i in range(size)}
    items = [(f"n{i}", NodeSpec("join.v1", {"texts": parents[i] or "t"})) for i in range(size)]
    random.shuffle(items)
    made = check(GraphSpec("dag", {"t": Port("t", "text")}, dict(items), {name: name for name, _ in items}), Catalog())
    seen = {INPUT}
    for item in made.nodes:
        assert {origin.node for edge in item.edges for origin in edge.origins} <= seen
        seen.add(item.name)
    assert len(made.nodes) == size


# -- what is inserted


def test_a_lossless_converter_is_inserted_and_shows_as_a_node() -> None:
    made = checked(
        "inputs: {t: text}\noutputs: {o: hear}\nnodes:\n  say: {tool: tone, in: {text: t}}\n"
        "  hear: {tool: hear, in: {speech: say}}"
    )
    assert [(item.name, item.inserted) for item in made.nodes] == [("say", False), ("say~thin", True), ("hear", False)]
    thin = node(made, "say~thin")
    assert thin.settings == {"rate": 16000}
    assert thin.outputs == (Port("audio", "speech", constraints={"rate": 16000}),)
    assert node(made, "hear").edges[0].origins == (Origin("say~thin", "audio"),)


def test_two_ports_that_need_the_same_share_one_converter() -> None:
    made = checked(
        "inputs: {s: speech}\noutputs: {a: a, b: b}\nnodes:\n  a: {tool: hear, in: {speech: s}}\n"
        "  b: {tool: hear, in: {speech: s}}"
    )
    assert [item.name for item in made.nodes] == ["s~thin", "a", "b"]


def test_a_lossy_converter_needs_leave() -> None:
    text = "inputs: {p: image}\nnodes: {loud: {tool: upper.v1, in: {text: p}}}\noutputs: {o: loud}\n"
    assert fault(text) == (
        "test: node loud, port text: expected text, got image from p; "
        "fix: add lossy: allow to the graph, or put caption.v1 between"
    )
    made = checked(text + "lossy: allow")
    assert [item.name for item in made.nodes] == ["p~caption", "loud"]


def test_a_generator_makes_things_up_and_needs_leave_too() -> None:
    text = "inputs: {t: text}\nnodes: {c: {tool: caption, in: {image: t}}}\noutputs: {o: c}\n"
    assert "add lossy: allow to the graph, or put blank.v1 between" in fault(text)
    assert [item.name for item in checked(text + "lossy: allow").nodes] == ["t~blank", "c"]


def test_a_converter_of_list_items_runs_for_each() -> None:
    made = checked(
        "inputs: {ps: 'list[image]'}\nnodes: {all: {tool: join, in: {texts: ps}}}\noutputs: {o: all}\nlossy: allow"
    )
    assert node(made, "ps~caption").spec.each == "image"
    assert node(made, "ps~caption").outputs[0].many


def test_a_graph_with_what_was_inserted_written_out_checks_to_the_same_calls() -> None:
    made = checked(
        "inputs: {t: text}\noutputs: {o: hear}\nnodes:\n  say: {tool: tone, in: {text: t}}\n"
        "  hear: {tool: hear, in: {speech: say}}"
    )
    nodes = {item.name: item.spec for item in made.nodes}
    nodes["hear"] = NodeSpec("hear", {"speech": "say~thin"})
    again = check(yaml.parse(yaml.dump(GraphSpec("test", made.inputs, nodes, {"o": "hear"}))), Catalog())
    assert [(item.name, item.edges, item.settings) for item in again.nodes] == [
        (item.name, item.edges, item.settings) for item in made.nodes
    ]


def test_an_inserted_converter_keeps_clear_of_inputs_and_nodes_of_its_name() -> None:
    made = checked(
        "inputs: {p: image, p~caption: text}\nlossy: allow\noutputs: {a: a, b: b, c: p~caption~2}\nnodes:\n"
        "  a: {tool: upper, in: {text: p}}\n  b: {tool: upper, in: {text: p~caption}}\n"
        "  p~caption~2: {tool: caption, in: {image: p}}"
    )
    assert node(made, "a").edges[0].origins == (Origin("p~caption~3", "text"),)
    assert node(made, "b").edges[0].origins == (Origin(INPUT, "p~caption"),)


# -- what is refused


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("inputs: {t: text}\nnodes: {a: {tool: uper, in: {text: t}}}\noutputs: {o: a}",
         "node a: expected the name of a tool or graph, got 'uper'; fix: did you mean another?"),
        ("inputs: {t: text}\nnodes: {a: {tool: upper, in: {text: t, txt: t}}}\noutputs: {o: a}",
         "node a, port txt: expected a port of upper, got no such port; fix: did you mean text?"),
        ("inputs: {t: text}\nnodes: {a: {tool: upper, in: {text: t}}}\noutputs: {o: a.txt}",
         "node outputs, port o: expected an output of node a, got a.txt, which is not one; fix: did you mean a.text?"),
        ("inputs: {t: text}\nnodes: {a: {tool: halve, in: {text: t}}}\noutputs: {o: a}",
         "which is not one; fix: say a.first or a.rest"),
        ("inputs: {line: text}\nnodes: {a: {tool: upper, in: {text: lime}}}\noutputs: {o: a}",
         "expected an input or a node of the graph, got the source lime; fix: did you mean line?"),
        ("inputs: {line: text}\nnodes: {a: {tool: upper}}\noutputs: {o: a}",
         "node a, port text: expected text, got nothing; fix: add in: {text: line}"),
        ("nodes: {a: {tool: upper, in: {text: b}}, b: {tool: upper, in: {text: a}}}\noutputs: {o: a}",
         "expected no cycle, got a → b → a; fix: take a from port text of b"),
        ("nodes: {a: {tool: upper, in: {text: a}}}\noutputs: {o: a}", "expected no cycle, got a → a"),
        ("inputs: {t: text}\nnodes: {a: {tool: upper, in: {text: t}}, b: {tool: upper, in: {text: t}}}\noutputs: {o: a}",
         "node b: expected a node that an output needs, got an unreachable node; fix: add an output b, or drop it"),
        ("inputs: {t: text}\nnodes: {e: {tool: embed, in: {text: t}}, p: {tool: paint, in: {prompt: e}}}\noutputs: {o: p}",
         "expected embedding(space=other, width=4), got embedding(space=one, width=4) from e"),
        ("inputs: {t: image}\nnodes: {s: {tool: scale, in: {image: t}, settings: {width: 8}}, "
         "l: {tool: paint, in: {prompt: s}}}\noutputs: {o: l}", "fix: connect something that is embedding"),
        ("inputs: {t: text}\nnodes: {w: {tool: words, in: {text: t}}, a: {tool: upper, in: {text: w}}}\noutputs: {o: a}",
         "expected text, got list[text] from w; fix: say each: text, to run once for each item, or put join.v1 between"),
        ("inputs: {t: text}\nnodes: {a: {tool: upper, in: {text: [t, t]}}}\noutputs: {o: a}", "got 2 sources"),
        ("inputs: {t: text}\nnodes: {a: {tool: upper, each: text, in: {text: t}}}\noutputs: {o: a}",
         "expected a list, to run for each item, got text"),
        ("inputs: {t: text}\nnodes: {a: {tool: join, each: texts, in: {texts: [t]}}}\noutputs: {o: a}",
         "expected a port of join.v1 for one value, to run for each, got list[text], which takes a list itself"),
        ("inputs: {t: 'list[text]'}\nnodes: {a: {tool: words, each: text, in: {text: t}}}\noutputs: {o: a}",
         "expected one value from each call, got list[text]"),
        ("inputs: {t: text}\nnodes: {a: {tool: tone, in: {text: t}, settings: {rate: fast}}}\noutputs: {o: a}",
         "node a, port rate: expected int, got 'fast'; fix: set rate to int"),
        ("inputs: {t: text}\nnodes: {a: {tool: tone, in: {text: t}, settings: {rte: 1}}}\noutputs: {o: a}",
         "node a, port rte: expected a setting of tone.v1 (rate), got no such setting; fix: did you mean rate?"),
        ("inputs: {p: image}\nnodes: {a: {tool: scale, in: {image: p}}}\noutputs: {o: a}",
         "node a, port width: expected int, got nothing; fix: add settings: {width: …}"),
        ("inputs: {t: text, u: text}\nnodes: {t: {tool: upper, in: {text: u}}}\noutputs: {o: t}",
         "node t: expected a name of its own, got the name of an input too"),
        ("inputs: {t: text}\nnodes: {a b: {tool: upper, in: {text: t}}}\noutputs: {o: a b}", "rename it"),
        ("inputs: {t/u: text}\noutputs: {o: t/u}", "test: node t/u: expected a name of letters, digits, -, _ and ~"),
        ("inputs: {t: text}\nnodes: {a/b: {tool: upper, in: {text: t}}}\noutputs: {o: a/b}",
         "node a/b: expected a name of letters, digits, -, _ and ~, got 'a/b'; fix: rename it"),
        ("inputs: {t: text}\noutputs: {o/p: t}", "node outputs, port o/p: expected a name of letters"),
        ("inputs: {t: texd}\noutputs: {o: t}", "expected a registered modality, got texd; fix: did you mean text?"),
        ("inputs: {t: text}", "expected at least one output, got none"),
        ("inputs: {t: text}\nnodes: {a: {tool: upper, in: {text: t}, fallback: [blank]}}\noutputs: {o: a}",
         "port fallback: expected a tool with the ports of upper, got blank, whose output text is not there"),
        ("inputs: {t: text}\nnodes: {a: {tool: upper, in: {text: t}, fallback: [none-such]}}\noutputs: {o: a}",
         "node a, port fallback: expected the name of a tool or graph, got 'none-such'"),
        ("inputs: {a: image, b: audio}\nnodes: {m: {tool: mix, in: {one: b, other: a}}}\noutputs: {o: m}",
         "node m, port other: expected audio, got image from a; fix: add lossy: allow to the graph, or put caption.v1 then tone.v1 between, or use b"),
    ],
)  # fmt: skip
def test_a_fault_names_its_place_what_was_expected_and_the_fix(text: str, said: str) -> None:
    assert said in fault(text)


def test_all_faults_come_together_and_do_not_cascade() -> None:
    text = (
        "inputs: {t: text}\noutputs: {o: d, p: nowhere}\nnodes:\n  a: {tool: unknown, in: {text: t}}\n"
        "  b: {tool: upper, in: {text: a}, settings: {x: 1}}\n  c: {tool: paint, in: {prompt: b.txt}}\n"
        "  d: {tool: caption, in: {image: c, other: a}}\n  e: {tool: upper, in: {text: t}}"
    )
    assert [(item.node, item.port) for item in faults(text)] == [
        ("e", ""),
        ("a", ""),
        ("b", "x"),
        ("c", "prompt"),
        ("d", "other"),
        ("outputs", "p"),
    ]


def test_every_node_that_names_an_unknown_tool_is_told() -> None:
    text = "inputs: {t: text}\nnodes: {a: {tool: x, in: {text: t}}, b: {tool: x, in: {text: a}}}\noutputs: {o: b}"
    assert [item.node for item in faults(text)] == ["a", "b"]


def test_a_fault_names_the_file() -> None:
    spec = yaml.parse("graph: test\ninputs: {t: text}", "shelf/test.yaml")
    with pytest.raises(GraphError, match=r"shelf/test\.yaml: node outputs"):
        check(spec, Catalog())


def test_a_setting_that_would_meet_a_constraint_is_the_fix() -> None:
    tools = tuple(item for item in TOOLS if item is not testing.thin)
    spec = graph(
        "inputs: {t: text}\nnodes: {s: {tool: tone, in: {text: t}}, h: {tool: hear, in: {speech: s}}}\noutputs: {o: h}"
    )
    with pytest.raises(GraphError, match="fix: set rate: 16000 on node s"):
        check(spec, Catalog(tools=tools))
    spec = graph("inputs: {p: 'image(width=9)'}\nnodes: {a: {tool: look, in: {image: p}}}\noutputs: {o: a}")
    with pytest.raises(GraphError, match=r"got image\(width=9\) from p; fix: set size: 9 on node a"):
        check(spec, Catalog(tools=(look,)))


def test_fallbacks_come_with_the_settings_they_have() -> None:
    @tool(name="better-tone")
    def better(text: Text, rate: int = 100, loud: bool = False) -> Annotated[Speech, Constraint(rate=8000, channels=1)]:
        """A finer tone."""
        raise NotImplementedError

    spec = graph(
        "inputs: {t: text}\nnodes: {a: {tool: better-tone, in: {text: t}, settings: {rate: 8000, loud: true}, "
        "fallback: [tone]}}\noutputs: {o: a}"
    )
    with pytest.raises(GraphError, match=r"output speech is speech\(rate=\$rate"):
        check(spec, Catalog(tools=(*TOOLS, better)))

    @tool(name="better-tone")
    def best(text: Text, rate: int = 100, loud: bool = False) -> Speech:
        """The finest tone."""
        raise NotImplementedError

    made = check(spec, Catalog(tools=(*TOOLS, best)))
    assert [(item.card.name, item.settings) for item in made.nodes[0].fallbacks] == [("tone.v1", {"rate": 8000})]


# -- graphs within graphs

INNER = yaml.parse(
    "graph: inner\ninputs: {line: text, extra: text | None}\noutputs: {loud: loud, quiet: quiet}\n"
    "nodes:\n  loud: {tool: upper.v1, in: {text: line}}\n  quiet: {tool: join, in: {texts: [line, extra]}}"
)


def test_a_graph_within_a_graph_dissolves_into_paths() -> None:
    made = checked(
        "inputs: {t: text}\nnodes: {deep: {tool: inner, in: {line: t}}}\noutputs: {o: deep.loud, q: deep.quiet}", INNER
    )
    assert [item.name for item in made.nodes] == ["deep/loud", "deep/quiet"]
    assert node(made, "deep/loud").edges[0].origins == (Origin(INPUT, "t"),)
    assert node(made, "deep/quiet").edges[0].origins == (Origin(INPUT, "t"), Origin(INPUT, "deep/extra"))
    assert made.inputs["deep/extra"] == Port("deep/extra", "text", optional=True)
    assert made.outputs == {"o": Origin("deep/loud", "text"), "q": Origin("deep/quiet", "text")}


def test_only_the_outputs_that_are_read_are_required_of_it() -> None:
    made = checked("inputs: {t: text}\nnodes: {deep: {tool: inner, in: {line: t}}}\noutputs: {o: deep.loud}", INNER)
    assert [item.name for item in made.nodes] == ["deep/loud"]


def test_a_graph_with_several_outputs_is_read_by_their_names() -> None:
    text = "inputs: {t: text}\nnodes: {deep: {tool: inner, in: {line: t}}}\n"
    assert "got deep, which is not one; fix: say deep.loud or deep.quiet" in fault(text + "outputs: {o: deep}", INNER)
    assert "got deep.lout, which is not one; fix: did you mean" in fault(text + "outputs: {o: deep.lout}", INNER)


def test_an_only_output_may_be_read_by_its_name_or_by_the_node() -> None:
    text = "inputs: {t: text}\nnodes: {a: {tool: upper, in: {text: t}}, b: {tool: join, in: {texts: [a, a.text]}}}\n"
    made = checked(text + "outputs: {o: b, p: b.text}")
    assert node(made, "b").edges[0].origins == (Origin("a", "text"), Origin("a", "text"))
    assert made.outputs["o"] == made.outputs["p"]


def test_graphs_nest_twice() -> None:
    middle = yaml.parse(
        "graph: middle\ninputs: {a: text}\nnodes: {m: {tool: inner, in: {line: a}}}\noutputs: {o: m.loud}"
    )
    made = checked("inputs: {t: text}\nnodes: {x: {tool: middle, in: {a: t}}}\noutputs: {o: x}", INNER, middle)
    assert [item.name for item in made.nodes] == ["x/m/loud"]
    assert node(made, "x/m/loud").edges[0].origins == (Origin(INPUT, "t"),)


def test_a_graph_that_contains_itself_is_refused() -> None:
    one = yaml.parse("graph: one\ninputs: {t: text}\nnodes: {x: {tool: two, in: {t: t}}}\noutputs: {o: x}")
    two = yaml.parse("graph: two\ninputs: {t: text}\nnodes: {y: {tool: one, in: {t: t}}}\noutputs: {o: y}")
    with pytest.raises(GraphError, match="a graph that does not contain itself, got one → two → one"):
        check(one, Catalog(one, two))


def test_faults_within_are_told_with_their_own_graph() -> None:
    broken = yaml.parse(
        "graph: broken\ninputs: {t: text}\nnodes: {x: {tool: upper, in: {tex: t}}}\noutputs: {o: x}", "broken.yaml"
    )
    found = faults("inputs: {t: text}\nnodes: {d: {tool: broken, in: {t: t}}}\noutputs: {o: d}", broken)
    assert {item.graph for item in found} == {"broken.yaml"}
    assert [item.port for item in found] == ["text", "tex"]


def test_a_graph_takes_inputs_and_nothing_else() -> None:
    said = fault("inputs: {t: text}\nnodes: {d: {tool: inner, in: {line: t}, retries: 2}}\noutputs: {o: d.loud}", INNER)
    assert "give them to the nodes in inner" in said
    said = fault("inputs: {t: image}\nnodes: {d: {tool: inner, in: {line: t}}}\noutputs: {o: d.loud}", INNER)
    assert "node d, port line: expected text, got image from t" in said
    assert "node d, port line: expected text, got nothing" in fault(
        "nodes: {d: {tool: inner}}\noutputs: {o: d.loud}", INNER
    )


def test_an_input_passed_straight_through_a_graph_keeps_its_origin() -> None:
    through = yaml.parse("graph: through\ninputs: {a: text, bs: 'list[text]'}\noutputs: {a: a, bs: bs}")
    made = checked(
        "inputs: {t: text, ts: 'list[text]'}\nnodes: {d: {tool: through, in: {a: t, bs: ts}}}\noutputs: {o: d.a, l: d.bs}",
        through,
    )
    assert made.outputs == {"o": Origin(INPUT, "t"), "l": Origin(INPUT, "ts")}
    said = fault("inputs: {t: text}\nnodes: {d: {tool: through, in: {a: t, bs: t}}}\noutputs: {o: d.bs}", through)
    assert "connect a list" in said
