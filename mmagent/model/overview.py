"""What a model is made of, told without loading it: parts, spaces and sizes, what has been trained, what it takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from mmagent.card import Card
from mmagent.errors import MissingExtra, MMAgentError
from mmagent.model import ports
from mmagent.model.body import Body
from mmagent.model.projectors.spec import GatedCrossAttentionSpec

if TYPE_CHECKING:
    from mmagent.model.chat.spec import ChatModelSpec
    from mmagent.model.mmlm import MMLM
    from mmagent.model.projectors.spec import ProjectorSpec
    from mmagent.model.spec import ToolSpec

State = Literal["frozen", "trained", "untrained", "missing"]
_FLOAT = 4
_TRAINED = 16
"""Bytes of a parameter that is trained by Adam in float32: itself, its gradient, two averages."""


@dataclass(frozen=True, slots=True)
class Row:
    """One part: its name, what it is, from which space into which (a modality, where it is no space), its size,
    parameters and bytes in memory as far as they are known. `missing` is a tool that is not at hand."""

    name: str
    what: str
    into: str
    out: str
    size: str
    parameters: int | None
    memory: int | None
    state: State


@dataclass(frozen=True, slots=True)
class Overview:
    """A model's parts, and the bytes that it takes to run and to train all that can be trained at once, what
    depends on the batch left out; None where the size of a part is not known."""

    name: str
    doc: str
    sees: tuple[str, ...]
    makes: tuple[str, ...]
    rows: tuple[Row, ...]
    run: int | None
    train: int | None


def overview(model: MMLM) -> Overview:
    """The parts of a model in the order in which a medium passes them."""
    body = Body.of(model.spec.backbone)
    rows = (*_inputs(model, body), _backbone(model, body), *_beside(model, body), *_outputs(model, body))
    sizes = [row.memory for row in rows if row.memory is not None]
    run = sum(sizes) if len(sizes) == len(rows) else None
    trained = sum(row.parameters or 0 for row in rows if row.state in ("trained", "untrained"))
    train = None if run is None else run + (_TRAINED - _FLOAT) * trained
    return Overview(model.name, model.spec.doc, model.sees, model.makes, rows, run, train)


def of_chat(spec: ChatModelSpec) -> Overview:
    """What a chat model's spec says; it runs elsewhere, has no parts of ours, and its provider is not asked."""
    return Overview(spec.name, spec.doc, spec.sees or (), spec.makes or (), (), 0, None)


def _backbone(model: MMLM, body: Body) -> Row:
    spec = model.spec.backbone
    memory = _FLOAT * body.parameters if body.parameters else model.spec.memory or None
    what = str(spec.weights or spec.path)
    size = f"{body.kind}, {body.width} wide" if body.width else ""
    return Row("backbone", what, "text", "text", size, body.parameters, memory, "frozen")


def _beside(model: MMLM, body: Body) -> Iterator[Row]:
    """LoRA and the signal rows."""
    if model.spec.lora:
        size = f"rank {model.spec.lora.rank} in {', '.join(model.spec.lora.targets)}"
        count = body.lora(model.spec.lora)
        yield Row("lora", "peft", "", "", size, count, _bytes(count), _state(model, "lora"))
    for name, output in model.spec.outputs.items():
        count = 2 * (1 + output.k) * body.width if body.width else None
        part = f"signals.{name}"
        size, space = f"{1 + output.k} rows", f"{model.name}.signals"
        yield Row(part, f"{output.k} signals", "text", space, size, count, _bytes(count), _state(model, part))


def _inputs(model: MMLM, body: Body) -> Iterator[Row]:
    for name, given in model.spec.inputs.items():
        if given.encoder is None or given.projector is None:
            continue
        card = _card(given.encoder)
        port = ports.encoded(name, card) if card else None
        space, width = (port.constraints.get("space"), port.constraints.get("width")) if port else (None, None)
        yield _tool(f"{name} encoder", given.encoder, card, name, str(space or "?"))
        yield _projector(model, f"inputs.{name}", given.projector, width, body, str(space or "?"), "text")


def _outputs(model: MMLM, body: Body) -> Iterator[Row]:
    for name, asked in model.spec.outputs.items():
        if asked.generator is None or asked.projector is None:
            continue
        card = _card(asked.generator)
        port = ports.conditioned(name, card) if card else None
        space, width = (port.constraints.get("space"), port.constraints.get("width")) if port else (None, None)
        signals = f"{model.name}.signals"
        yield _projector(model, f"outputs.{name}", asked.projector, width, body, signals, str(space or "?"))
        yield _tool(f"{name} generator", asked.generator, card, str(space or "?"), name)


def _card(tool: ToolSpec) -> Card | None:
    """The card of a tool, None where it or its checkpoint is not at hand."""
    try:
        return ports.card_of(tool)
    except MMAgentError:
        return None


def _tool(name: str, tool: ToolSpec, card: Card | None, into: str, out: str) -> Row:
    memory = card.memory or None if card else None
    return Row(name, tool.tool, into, out, "", None, memory, "frozen" if card else "missing")


def _projector(model: MMLM, part: str, spec: ProjectorSpec, width: Any, body: Body, into: str, out: str) -> Row:
    """A projector between a tool's states of some `width` and the backbone's, or those between its layers."""
    more: dict[str, int] = {}
    own = body.width
    if isinstance(spec, GatedCrossAttentionSpec):
        more["n_layers"], own = body.layers or (0, None)
    d_in, d_out = (width, own) if part.startswith("inputs.") else (own, width)
    count = _count(spec, d_in, d_out, **more) if isinstance(d_in, int) and isinstance(d_out, int) else None
    size = f"{d_in or '?'} to {d_out or '?'}"
    return Row(part, spec.kind, into, out, size, count, _bytes(count), _state(model, part))


def _count(spec: ProjectorSpec, d_in: int, d_out: int, **more: int) -> int:
    """The parameters of a projector, made without memory for them."""
    try:
        import torch
    except ImportError as error:
        raise MissingExtra(error.name or "torch", "local", "the size of a projector") from None
    from mmagent.model.projectors import make

    with torch.device("meta"):
        return sum(value.numel() for value in make(spec, d_in, d_out, **more).parameters())


def _bytes(parameters: int | None) -> int | None:
    return None if parameters is None else _FLOAT * parameters


def _state(model: MMLM, part: str) -> State:
    return "trained" if model.told.has_learnt(part) else "untrained"
