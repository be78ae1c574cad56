"""One call of a tool as a graph of one node, so that converters, cache and instances are those of any other run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mmagent.card import ANY, Card, Port, Scalar
from mmagent.graph.spec import GraphSpec, NodeSpec
from mmagent.media import Media

Inputs = Mapping[str, Media | Sequence[Media] | None]


def single(card: Card, inputs: Inputs, settings: Mapping[str, Scalar]) -> GraphSpec:
    """The call of a tool or graph on these inputs; None is an input that is not given.

    The graph's inputs say what is known of the values, so that what a port asks for is converted.
    """
    given = {name: value for name, value in inputs.items() if value is not None}
    node = card.short if card.short not in given else f"{card.short}-call"
    return GraphSpec(
        name=f"call-{card.short}",  # a graph's own name would be taken for the graph that it calls
        inputs={name: _port(name, value, card) for name, value in given.items()},
        nodes={node: NodeSpec(card.name, {name: name for name in given}, settings)},
        outputs={port.name: f"{node}.{port.name}" for port in card.outputs},
    )


def port_of(name: str, value: Media) -> Port:
    """The port that declares what is known of a value, so that no converter is inserted in vain."""
    facts = value.describe()
    keys = {"embedding": ("tokens", "width", "space"), "audio": ("rate", "channels"), "speech": ("rate", "channels")}
    return Port(name, value.modality, constraints={key: facts[key] for key in keys.get(value.modality, ())})


def _port(name: str, value: Media | Sequence[Media], card: Card) -> Port:
    """The port of a value; of a list it declares what all of its items have in common."""
    if isinstance(value, Media):
        return port_of(name, value)
    ports = [port_of(name, item) for item in value]
    modalities = {port.modality for port in ports}
    wanted = card.input(name)
    modality = modalities.pop() if len(modalities) == 1 else wanted.modality if wanted else ANY
    alike = all(port.constraints == ports[0].constraints for port in ports)
    return Port(name, modality, many=True, constraints=ports[0].constraints if ports and alike else {})
