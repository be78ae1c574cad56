"""A generator's card as its checkpoint makes it: what embeddings fit, what it weighs, how long it takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from mmagent import checkpoint
from mmagent.card import Card, Port, Scalar
from mmagent.diffusion.layout import NULL, Layout, layout

STEPS = 50  # what most pipelines take unless told otherwise
EMBEDS = ("prompt_embeds", "negative_prompt_embeds")
POOLED = ("pooled_prompt_embeds", "negative_pooled_prompt_embeds")


def card_of(card: Card, settings: Mapping[str, Scalar]) -> Card:
    """`card` with what the configs of the checkpoint in `settings["model"]` say; what is not known stays open.

    Embedding ports get tokens, width and space, `weights` the digest, `memory` and `cost` an estimate. Reads the
    settings `model`, `config`, `revision`, `space`, `dtype`, `device`, `steps`, `width` and `height`, as far as there are any. A
    checkpoint without a text encoder needs `prompt_embeds`; one that does nothing but edit needs `image`, and `mask` if it repaints, where the card has such ports.
    """
    model = str(settings.get("model") or "")
    config, revision = str(settings.get("config") or ""), str(settings.get("revision") or "")
    found = layout(model, config=config, revision=revision)
    space = str(settings.get("space") or "") or f"{checkpoint.slug(model)}.text"
    inputs = tuple(_port(port, space, found) for port in card.inputs)
    needs = (*card.needs, *checkpoint.needed(model, config))
    card = replace(card, inputs=inputs, weights=_digest(model, config, revision), needs=needs)
    if found is None:
        return card
    if not found.encodes and "prompt_embeds" in card.either:  # words mean nothing to it
        alone = (replace(port, optional=port.optional and port.name != "prompt_embeds") for port in card.inputs)
        card = replace(card, inputs=tuple(alone), either=())
    steps, width, height = (settings.get(name) for name in ("steps", "width", "height"))
    size = (height, width) if isinstance(height, int) and isinstance(width, int) else None
    seconds = found.seconds(steps if isinstance(steps, int) else STEPS, size)
    memory = found.memory(str(settings.get("dtype") or "auto"), str(settings.get("device") or "auto"))
    return replace(card, memory=memory, cost=float(f"{seconds:.2g}"))


def _digest(model: str, config: str, revision: str) -> str:
    """What tells results of this checkpoint from any other's: its own digest, and those of what it is used with."""
    beside = Path(model).expanduser() / NULL
    others = [config] if config else [str(beside)] if beside.is_file() else []
    own = checkpoint.digest(model, revision=revision)
    return "+".join([own, *map(checkpoint.digest, others)]) if own else ""


def _port(port: Port, space: str, found: Layout | None) -> Port:
    if found is not None and found.needs_image and port.name in _edited(found):
        return replace(port, optional=False)
    if port.name in EMBEDS:
        sizes = {"tokens": found.tokens, "width": found.width} if found is not None else {}
    elif port.name in POOLED:
        space, sizes = f"{space}.pooled", {"tokens": 1, "width": found.pooled if found is not None else None}
    else:
        return port
    known = {key: value for key, value in sizes.items() if value is not None}
    return replace(port, constraints={**port.constraints, **known, "space": space})


def _edited(found: Layout) -> tuple[str, ...]:
    """Which ports a checkpoint that does nothing but edit cannot do without."""
    return ("image", "mask") if "Inpaint" in found.pipeline else ("image",)
