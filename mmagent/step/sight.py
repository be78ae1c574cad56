"""How a step shows media to a reasoner that reads an encoder's states: the encoder's node, and what it leads to.

The states cross an edge as an Embedding, so they are cached apart from whatever reads them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from mmagent.card import Card, Port
from mmagent.conversation import Conversation
from mmagent.errors import Fault, GraphError
from mmagent.graph.library import Library
from mmagent.graph.spec import NodeSpec
from mmagent.media import Embedding, Text, fits
from mmagent.model.reasoner import Encoder, Reasoner, Wired
from mmagent.tool import FunctionTool


@dataclass(frozen=True, slots=True)
class Eye:
    """An encoder of one modality: how it is called, and the port that its states have to fit."""

    encoder: Encoder
    card: Card
    input: str
    output: str

    def nodes(self, number: int) -> dict[str, NodeSpec]:
        """The node that encodes input `number`."""
        feeds = {self.input: f"input-{number}"}
        return {f"encode-{number}": NodeSpec(self.card.name, feeds, self.encoder.settings)}

    def source(self, number: int) -> str:
        """Where the states of input `number` come from."""
        return f"encode-{number}.{self.output}"


def sight(reasoner: Reasoner, library: Library, shown: Collection[str]) -> dict[str, Eye]:
    """An eye for each modality that the reasoner wants encoded and whose encoder is at hand.

    GraphError for an encoder that is not, of a modality that is `shown`; with both digests, for one with other weights
    than the reasoner was trained with; and for a tool that encodes no such modality. Whether the space fits is seen
    when the graph is checked.
    """
    encoders = reasoner.encoders if isinstance(reasoner, Wired) else {}
    at_hand = {name: encoder for name, encoder in encoders.items() if library.registry.get(encoder.tool)}
    blind = [name for name in encoders if name in shown and name not in at_hand]
    if blind:
        faults = [
            Fault(
                "turn", f"encode ({encoders[name].tool})", "", f"the encoder that {reasoner.name} sees {name} by",
                "no tool of that name", f"put {encoders[name].tool} on a shelf (MMAGENT_PATH), or give it to the agent",
            )
            for name in blind
        ]  # fmt: skip
        raise GraphError("turn", faults)
    return {name: _eye(name, encoder, library) for name, encoder in at_hand.items()}


def _eye(modality: str, encoder: Encoder, library: Library) -> Eye:
    plain = library.card(encoder.tool)
    card = library.card_for(encoder.tool, plain.check_settings(encoder.settings))
    entries = [port.name for port in card.inputs if not port.optional and fits(modality, port.modality)]
    made = [port.name for port in card.outputs if port.modality == "embedding"]
    if len(entries) != 1 or len(made) != 1:
        got = f"{card.name} from {', '.join(map(str, card.inputs))} to {', '.join(map(str, card.outputs))}"
        raise _fault(card, f"an encoder of {modality}", got, f"name an encoder of {modality} in model.yaml")
    if encoder.weights and card.weights and encoder.weights != card.weights:
        fix = "load the weights that the model was trained with, or train it again"
        raise _fault(card, f"weights {encoder.weights}", card.weights, fix)
    return Eye(encoder, card, entries[0], made[0])


def _fault(card: Card, expected: str, got: str, fix: str) -> GraphError:
    return GraphError("turn", [Fault("turn", f"encode ({card.name})", "", expected, got, fix)])


def seen_port(modality: str) -> str:
    """The port of `composer` that takes the states of a modality."""
    return f"seen-{modality}"


def composer(eyes: Mapping[str, Eye]) -> FunctionTool[..., Conversation]:
    """The tool that puts into a conversation what was made of its media: words, and states by modality."""

    def compose(conversation: Conversation, words: Sequence[Text] = (), **states: Sequence[Embedding]) -> Conversation:
        """The conversation with an encoder's states at the media that the reasoner sees, and words at the others."""
        for name in eyes:
            conversation = conversation.with_seen(name, states.get(seen_port(name)) or ())
        return conversation.with_words([text.text for text in words or ()])

    ports = [replace(eye.encoder.port, name=seen_port(name), many=True, optional=True) for name, eye in eyes.items()]
    card = Card(
        name="turn-compose.v1",
        kind="converter",
        inputs=(Port("conversation", "conversation"), Port("words", "text", many=True, optional=True), *ports),
        outputs=(Port("conversation", "conversation"),),
        doc="Put what was made of its media into a conversation.",
        inline=True,
    )
    return FunctionTool(compose, card)
