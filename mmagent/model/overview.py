"""What a model is made of, told without loading it: parts, spaces and sizes, what has been trained, what it takes.

Sizes of the backbone are read off its configuration and the headers of its weights, where those are at hand.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mmagent.card import Card
from mmagent.errors import MissingExtra, MMAgentError
from mmagent.model import ports

if TYPE_CHECKING:
    from mmagent.model.mmlm import MMLM
    from mmagent.model.projectors.spec import ProjectorSpec
    from mmagent.model.spec import BackboneSpec, ToolSpec

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
    depends on the batch left out."""

    name: str
    doc: str
    sees: tuple[str, ...]
    makes: tuple[str, ...]
    rows: tuple[Row, ...]
    run: int
    train: int


def overview(model: MMLM) -> Overview:
    """The parts of a model in the order in which a medium passes them."""
    body = _Body.of(model.spec.backbone)
    rows = (*_inputs(model, body), _backbone(model, body), *_beside(model, body), *_outputs(model, body))
    run = sum(row.memory or 0 for row in rows)
    trained = sum(row.parameters or 0 for row in rows if row.state in ("trained", "untrained"))
    train = run + (_TRAINED - _FLOAT) * trained
    return Overview(model.name, model.spec.doc, model.sees, model.makes, rows, run, train)


@dataclass(frozen=True, slots=True)
class _Body:
    """What is known of a backbone that is not loaded: its kind, the width of its states, its parameters."""

    kind: str = ""
    width: int | None = None
    parameters: int | None = None

    @classmethod
    def of(cls, spec: BackboneSpec) -> _Body:
        folder = _folder(spec)
        if folder is None or not (folder / "config.json").is_file():
            return cls()
        fields: dict[str, Any] = json.loads((folder / "config.json").read_text("utf-8"))
        width = next((fields[name] for name in ("hidden_size", "n_embd", "d_model") if name in fields), None)
        sizes = [count for path in folder.glob("*.safetensors") for count in _sizes(path)]
        return cls(next(iter(fields.get("architectures") or [""])), width, sum(sizes) or None)


def _folder(spec: BackboneSpec) -> Path | None:
    if spec.weights:
        from mmagent.fetch import location, missing

        return None if missing([spec.weights]) else location(spec.weights)
    path = Path(str(spec.path)).expanduser()
    return path if path.is_dir() else None


def _sizes(path: Path) -> Iterator[int]:
    """The number of values in each tensor of a safetensors file, by its header."""
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return (math.prod(told["shape"]) for name, told in header.items() if name != "__metadata__")


def _backbone(model: MMLM, body: _Body) -> Row:
    spec = model.spec.backbone
    memory = _FLOAT * body.parameters if body.parameters else model.spec.memory or None
    what = str(spec.weights or spec.path)
    size = f"{body.kind}, {body.width} wide" if body.width else ""
    return Row("backbone", what, "text", "text", size, body.parameters, memory, "frozen")


def _beside(model: MMLM, body: _Body) -> Iterator[Row]:
    """LoRA and the signal rows."""
    if model.spec.lora:
        size = f"rank {model.spec.lora.rank} in {', '.join(model.spec.lora.targets)}"
        yield Row("lora", "peft", "", "", size, None, None, _state(model, "lora"))
    for name, output in model.spec.outputs.items():
        count = 2 * (1 + output.k) * body.width if body.width else None
        part = f"signals.{name}"
        size, space = f"{1 + output.k} rows", f"{model.name}.signals"
        yield Row(part, f"{output.k} signals", "text", space, size, count, _bytes(count), _state(model, part))


def _inputs(model: MMLM, body: _Body) -> Iterator[Row]:
    for name, given in model.spec.inputs.items():
        if given.encoder is None or given.projector is None:
            continue
        card = _card(given.encoder)
        port = ports.encoded(card) if card else None
        space, width = (port.constraints.get("space"), port.constraints.get("width")) if port else (None, None)
        yield _tool(f"{name} encoder", given.encoder, card, name, str(space or "?"))
        yield _projector(model, f"inputs.{name}", given.projector, width, body.width, str(space or "?"), "text")


def _outputs(model: MMLM, body: _Body) -> Iterator[Row]:
    for name, asked in model.spec.outputs.items():
        if asked.generator is None or asked.projector is None:
            continue
        card = _card(asked.generator)
        port = ports.conditioned(card) if card else None
        space, width = (port.constraints.get("space"), port.constraints.get("width")) if port else (None, None)
        signals = f"{model.name}.signals"
        yield _projector(model, f"outputs.{name}", asked.projector, body.width, width, signals, str(space or "?"))
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


def _projector(model: MMLM, part: str, spec: ProjectorSpec, d_in: Any, d_out: Any, into: str, out: str) -> Row:
    count = _count(spec, d_in, d_out) if isinstance(d_in, int) and isinstance(d_out, int) else None
    size = f"{d_in or '?'} to {d_out or '?'}"
    return Row(part, spec.kind, into, out, size, count, _bytes(count), _state(model, part))


def _count(spec: ProjectorSpec, d_in: int, d_out: int) -> int:
    """The parameters of a projector, made without memory for them."""
    try:
        import torch
    except ImportError as error:
        raise MissingExtra(error.name or "torch", "local", "the size of a projector") from None
    from mmagent.model.projectors import make

    with torch.device("meta"):
        return sum(value.numel() for value in make(spec, d_in, d_out).parameters())


def _bytes(parameters: int | None) -> int | None:
    return None if parameters is None else _FLOAT * parameters


def _state(model: MMLM, part: str) -> State:
    return "trained" if model.told.has_learnt(part) else "untrained"
