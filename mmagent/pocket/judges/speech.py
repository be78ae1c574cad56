"""The judge of speech: words, by recognising them. Nothing is trained here."""

from __future__ import annotations

from collections.abc import Sequence

from mmagent.engine.graph import Graph
from mmagent.errors import CardError
from mmagent.evaluation.metrics.errors import wer
from mmagent.evaluation.score import Score
from mmagent.graph.single import single
from mmagent.media import Speech, Text
from mmagent.registry import Registry
from mmagent.registry import registry as shelves

RECOGNISER = "speech-recognition"


def recognised(speech: Sequence[Speech], recogniser: str = RECOGNISER, registry: Registry = shelves) -> list[str]:
    """What a recogniser, a tool of that name, hears said in each; CardError if it does not make text of speech alone."""
    card = registry.find(recogniser).card
    inputs = [port for port in card.inputs if not port.optional]
    outputs = [port for port in card.outputs if port.modality == "text"]
    if [port.modality for port in inputs] not in (["speech"], ["audio"]) or not outputs:
        raise CardError(f"{card.name} is no recogniser; name a tool that makes text of speech, as {RECOGNISER} does")
    heard: list[str] = []
    for item in speech:
        given = {inputs[0].name: item}
        made = Graph(single(card, given, {}), registry=registry).run(**given)[outputs[0].name]
        heard.append(made.text if isinstance(made, Text) else "")
    return heard


def word_errors(
    speech: Sequence[Speech], wanted: Sequence[str], recogniser: str = RECOGNISER, registry: Registry = shelves
) -> Score | None:
    """The word error rate of speech that was to say `wanted`, as a recogniser hears it; None if nothing was to be said."""
    return wer(recognised(speech, recogniser, registry), [[words] for words in wanted])
