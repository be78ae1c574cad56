"""Graph files: the round trip, and what a fault in one says."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmagent.card import Port, Scalar
from mmagent.errors import GraphError
from mmagent.graph import yaml
from mmagent.graph.ports import parse_port, show_port
from mmagent.graph.spec import GraphSpec, NodeSpec

NAMES = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_-]{0,8}", fullmatch=True) | st.sampled_from(["on", "no", "null", "12"])
KEYS = st.from_regex(r"[a-z_][a-z0-9_]{0,5}", fullmatch=True)
BREAKS = "\n\r\x85\u2028\u2029"  # all that some YAML takes for the end of a line
TEXT = st.text(max_size=12) | st.text(st.sampled_from([*BREAKS, " ", "\t", "a", "#", ":", "\ufeff", "\0"]), max_size=8)
SCALARS: st.SearchStrategy[Scalar] = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT
PORTS = st.builds(Port, NAMES, NAMES, st.booleans(), st.booleans(), st.dictionaries(KEYS, SCALARS, max_size=3))
SOURCES = st.builds(lambda node, port: f"{node}.{port}" if port else node, NAMES, NAMES | st.just(""))
NODES = st.builds(
    NodeSpec,
    tool=NAMES,
    inputs=st.dictionaries(NAMES, SOURCES | st.lists(SOURCES, max_size=3).map(tuple), max_size=3),
    settings=st.dictionaries(NAMES, SCALARS, max_size=3),
    retries=st.integers(0, 9),
    timeout=st.none() | st.floats(0.001, 1e6),
    fallback=st.lists(NAMES, max_size=2).map(tuple),
    seed=st.none() | st.integers(),
    each=st.none() | NAMES,
)
SPECS = st.builds(
    GraphSpec,
    name=NAMES,
    inputs=st.lists(PORTS, max_size=3).map(lambda ports: {port.name: port for port in ports}),
    nodes=st.dictionaries(NAMES, NODES, max_size=3),
    outputs=st.dictionaries(NAMES, SOURCES, max_size=3),
    doc=TEXT,
    lossy=st.booleans(),
)

GOOD = """\
graph: caption-and-speak
doc: Say what is in a picture.
inputs: {picture: image}
nodes:
  tags: {tool: image-tags.v1, in: {image: picture}, settings: {top: 5}, timeout: 60, retries: 1, fallback: [x], seed: 3}
  say: {tool: say, in: {text: tags}}
outputs: {speech: say.speech}
lossy: allow
"""


@given(SPECS)
def test_a_graph_reads_back_as_it_was_written(spec: GraphSpec) -> None:
    again = yaml.parse(yaml.dump(spec))
    assert again == spec.without_origin()
    # 1, 1.0 and True are equal in Python, and not the same setting
    assert repr([node.settings for node in again.nodes.values()]) == repr(
        [dict(node.settings) for node in spec.nodes.values()]
    )


@pytest.mark.parametrize("mark", [*BREAKS, "\ufeff", "\xa0"])
def test_every_kind_of_line_break_reads_back(mark: str) -> None:
    for text in (mark, f"a{mark}", f"{mark}b", f"a{mark}b", f"a\n{mark}b", f"{mark * 2} a"):
        spec = GraphSpec("breaks", nodes={"n": NodeSpec("t", settings={"s": text})}, doc=text)
        assert yaml.parse(yaml.dump(spec)) == spec


@given(PORTS)
def test_a_port_reads_back_as_it_was_written(port: Port) -> None:
    again = parse_port(port.name, show_port(port))
    assert again == port
    assert repr(again.constraints) == repr(port.constraints)


def test_a_port_is_written_as_it_prints_where_no_quotes_are_needed() -> None:
    port = Port("x", "embedding", True, True, {"tokens": 77, "space": "sd15.text", "rate": "$rate"})
    assert show_port(port) == str(port) == "list[embedding(tokens=77, space=sd15.text, rate=$rate)] | None"


@pytest.mark.parametrize("text", ["list[image", "image]", "image(rate)", "image(a=1, a=2)", "", "a b", "image(=3)"])
def test_text_that_is_no_port_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write"):
        parse_port("x", text)


@pytest.mark.timeout(20)
def test_a_port_of_many_spaces_is_read_in_one_go() -> None:
    assert parse_port("x", f"list[{' ' * 50_000}image{' ' * 50_000}]").modality == "image"
    with pytest.raises(ValueError, match="is no port"):
        parse_port("x", f"image{' ' * 50_000}!")


def test_the_documented_format_is_read() -> None:
    spec = yaml.parse(GOOD)
    assert spec == GraphSpec(
        "caption-and-speak",
        {"picture": Port("picture", "image")},
        {
            "tags": NodeSpec("image-tags.v1", {"image": "picture"}, {"top": 5}, 1, 60.0, ("x",), 3),
            "say": NodeSpec("say", {"text": "tags"}),
        },
        {"speech": "say.speech"},
        "Say what is in a picture.",
        lossy=True,
    )


def faults(text: str) -> list[str]:
    with pytest.raises(GraphError) as caught:
        yaml.parse(text, "bad.yaml")
    return [str(fault) for fault in caught.value.faults]


def test_an_unknown_key_is_named_with_its_line_the_allowed_keys_and_the_nearest() -> None:
    (fault,) = faults(GOOD.replace("retries", "retry"))
    assert fault.startswith("bad.yaml:5: node tags, port retry: expected one of the keys tool, in, each, settings")
    assert fault.endswith("got 'retry'; fix: write retries")


def test_all_faults_of_a_file_come_together() -> None:
    text = GOOD.replace("timeout: 60", "timeout: -1").replace("seed: 3", "seed: three").replace("tool: say, ", "")
    found = faults(text)
    assert len(found) == 3
    assert any("port timeout" in fault and "greater than 0" in fault and "-1" in fault for fault in found)
    assert any("port seed" in fault and "'three'" in fault for fault in found)
    assert any("bad.yaml:6" in fault and "the key tool" in fault for fault in found)


def test_both_branches_of_a_source_make_one_fault() -> None:
    (fault,) = faults(GOOD.replace("{text: tags}", "{text: 3}"))
    assert "node say, port in.text" in fault
    assert "a valid string or a valid list" in fault


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("graph: a\ngraph: b\n", "bad.yaml:2: node file: expected YAML, got the key 'graph' is here twice"),
        ("graph: a\nnodes:\n  x: {tool: a}\n  x: {tool: b}\n", "bad.yaml:4"),
        ("graph: [", "bad.yaml:1"),
        ("", "empty"),
        ("- 1\n", "a mapping with the key graph"),
        ("nodes: {}\n", "the key graph"),
        ("graph: !!python/object/apply:os.getcwd []\n", "could not determine a constructor"),
        ("graph: " + "[" * 3000, "expected YAML, got a value nested too deep"),
        ("graph: a\nnodes: {x: {tool: t, seed: " + "9" * 5000 + "}}\n", "bad.yaml:2"),
        ("graph: a\ndoc: !!bool maybe\n", "bad.yaml:2"),
        ("graph: a\ndoc: !!int ''\n", "bad.yaml:2"),
        ("graph: a\ndoc: !!timestamp noon\n", "bad.yaml:2"),
        ("graph: a\ninputs: {x: 'list[image'}\n", "bad.yaml:2: node inputs, port x: expected a port"),
    ],
)
def test_a_file_that_is_no_graph_says_where_and_why(text: str, words: str) -> None:
    assert words in faults(text)[0]


def test_a_missing_file_is_a_graph_error(tmp_path: Path) -> None:
    with pytest.raises(GraphError, match="No such file"):
        yaml.read(tmp_path / "none.yaml")


def test_a_file_remembers_its_origin_and_writes_back(tmp_path: Path) -> None:
    file = tmp_path / "speak.yaml"
    file.write_text(GOOD)
    spec = yaml.read(file)
    assert spec.origin == str(file)
    yaml.write(spec, tmp_path / "again.yaml")
    assert yaml.read(tmp_path / "again.yaml").without_origin() == spec.without_origin()
