"""A tool's card out of the checkpoint that its settings name: what it makes, hears, weighs and takes.

Shapes: states of width D.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mmagent.card import Card, Port, Scalar
from mmagent.checkpoint.digests import digest
from mmagent.checkpoint.place import needed, slug
from mmagent.errors import ModelError

SPEED = 1e11
"""Floating-point operations a second that expected costs reckon with: a ViT-B/16 in float32 on one busy core of two."""
USUAL = 4
"""Items of a list that expected costs reckon with."""


def described(
    card: Card,
    *checkpoints: tuple[str, str],
    made: Mapping[str, Scalar],
    heard: Mapping[str, Scalar] | None = None,
    memory: int = 0,
    cost: float = 0.0,
) -> Card:
    """The card of a tool, read from `checkpoints`, each a model and its revision.

    `made` are the constraints of its first output, `heard` of its first input; what is None in them is left open.
    `memory` and `cost` are those of one input; where the tool takes a list, it costs USUAL of them. What is 0 is
    left as it was.
    """
    digests = [digest(model, revision=revision) for model, revision in checkpoints]
    weights = "+".join(digests) if all(digests) else ""
    (given, *others), (result, *more) = card.inputs, card.outputs
    return replace(
        card,
        inputs=(_port(given, heard or {}), *others),
        outputs=(_port(result, made), *more),
        weights=weights,
        cacheable=bool(weights),  # a hub id that is not here yet may turn out to be anything
        needs=(*card.needs, *needed(*(model for model, _ in checkpoints))),
        memory=memory or card.memory,
        cost=float(f"{cost * (USUAL if given.many else 1):.2g}") or card.cost,
    )


def _port(port: Port, told: Mapping[str, Scalar]) -> Port:
    known = {name: value for name, value in told.items() if value is not None}
    return replace(port, constraints={**port.constraints, **known})


def space_name(model: str, states: str, layer: int = -1, revision: str = "") -> str:
    """The name of the space that states live in, unless the user gives another.

    >>> space_name("openai/clip-vit-base-patch32", "patches", -2), space_name("google-bert/bert-base-uncased", "tokens", -1, "v2")
    ('clip-vit-base-patch32.patches-2', 'bert-base-uncased@v2.tokens')
    """
    return f"{slug(model)}{'@' if revision else ''}{revision}.{states}{'' if layer == -1 else layer}"


def check_layer(model: str, layer: int, n_layers: int | None) -> None:
    """ModelError if a model of so many layers, None if that is not known, has no such one; 0 enters the first."""
    if n_layers is not None and not -n_layers - 1 <= layer <= n_layers:
        raise ModelError(f"{model} has {n_layers} layers; layer is {-n_layers - 1} … {n_layers}, not {layer}")


def layers_size(width: int | None, n_layers: int | None) -> int:
    """How many numbers the layers of a transformer hold, 12 D² each; 0 if it cannot be told."""
    return 12 * (width or 0) ** 2 * (n_layers or 0)


def seconds(size: int, n_tokens: int) -> float:
    """The expected cost of a pass of so many tokens, each of which uses each of `size` numbers twice."""
    return 2.0 * size * n_tokens / SPEED
