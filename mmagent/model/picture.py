"""A model as a graph to look at: media through encoders and projectors into the LLM, signals out to generators."""

from __future__ import annotations

from mmagent.card import Card, Kind, Port
from mmagent.graph.checked import INPUT, CheckedGraph, CheckedNode, Edge, Origin
from mmagent.graph.spec import GraphSpec, NodeSpec
from mmagent.model.overview import Overview, Row


def picture(model: Overview) -> CheckedGraph:
    """The graph; it is drawn like any, and is none that could run."""
    rows = {row.name: row for row in model.rows}
    nodes: list[CheckedNode] = []
    inputs, outputs = {"text": Port("text", "text")}, {"text": Origin("backbone", "text")}
    read = [(Port("text", "text"), Origin(INPUT, "text"))]
    for row in model.rows:
        modality = row.name.partition(".")[2]
        if row.name.startswith("inputs.") and (encoder := rows.get(f"{modality} encoder")):
            inputs[modality] = Port(modality, modality)
            nodes.append(_node(encoder, "encoder", [(inputs[modality], Origin(INPUT, modality))], "embedding"))
            nodes.append(_node(row, "converter", [(_states(row.into), Origin(encoder.name, "made"))], "embedding"))
            read.append((_states(row.out), Origin(row.name, "made")))
    asked = [row.name.partition(".")[2] for row in model.rows if row.name.startswith("signals.")]
    signals = tuple(Port(f"signals {name}", "embedding") for name in asked)
    nodes.append(_made(rows["backbone"], "reasoner", read, (Port("text", "text"), *signals)))
    for name in asked:
        start = Origin("backbone", f"signals {name}")
        mapper, generator = rows.get(f"outputs.{name}"), rows.get(f"{name} generator")
        if mapper and generator:
            nodes.append(_node(mapper, "converter", [(_states(mapper.into), start)], "embedding"))
            nodes.append(_node(generator, "generator", [(_states(mapper.out), Origin(mapper.name, "made"))], name))
            start = Origin(generator.name, "made")
        outputs[name] = start
    ends = {name: Port(name, name) for name in outputs}
    return CheckedGraph(GraphSpec(model.name), inputs, tuple(nodes), outputs, ends)


def _states(space: str) -> Port:
    return Port("states", "embedding", constraints={"space": space})


def _node(row: Row, kind: Kind, fed: list[tuple[Port, Origin]], modality: str) -> CheckedNode:
    return _made(row, kind, fed, (Port("made", modality),))


def _made(row: Row, kind: Kind, fed: list[tuple[Port, Origin]], made: tuple[Port, ...]) -> CheckedNode:
    what = "".join(letter if letter.isalnum() else "-" for letter in row.what.lower()).strip("-")
    name = "-".join(part for part in what.split("-") if part) or "part"
    card = Card(name=f"{name}.v1", kind=kind, inputs=tuple(port for port, _ in fed), outputs=made)
    edges = tuple(Edge(port, (origin,)) for port, origin in fed)
    return CheckedNode(row.name, card, {}, edges, made, NodeSpec(card.name), inserted=row.state == "untrained")
