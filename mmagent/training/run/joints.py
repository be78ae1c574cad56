"""The joints of a model: what each projector is given, and what it has to make."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmagent.model.parts import Parts


def joints(parts: Parts) -> Iterator[str]:
    """A line for each projector, with the ports and widths on both sides."""
    d_model, d_state = parts.backbone.in_rows.shape[1], parts.backbone.out_rows.shape[1]
    for name, port in parts.features.items():
        projector = parts.spec.inputs[name].projector
        yield f"{name} in: {port} → {projector.kind if projector else ''} → embeddings of width {d_model}"
    for name, port in parts.conditions.items():
        output = parts.spec.outputs[name]
        yield f"{name} out: {output.k} states of width {d_state} → {output.projector.kind if output.projector else ''} → {port}"
