"""One vector of a text's states: the poolings, and the layers that may follow them.

Shapes: L states of width D.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mmagent.checkpoint import config, load_tensors
from mmagent.errors import ModelError

POOLINGS: Mapping[str, Callable[[Any], Any]] = {
    "mean": lambda states: states.mean(dim=0),
    "sqrt": lambda states: states.sum(dim=0) / len(states) ** 0.5,
    "max": lambda states: states.amax(dim=0),
    "cls": lambda states: states[0],
    "last": lambda states: states[-1],
}
"""One vector `[D]` of the states `[L, D]` that count."""


def dense(folder: Path, pickle: bool) -> Callable[[Any], Any]:
    """A Dense module: a linear layer and its activation."""
    from torch import nn

    fields = config(str(folder)) or {}
    name = str(fields.get("activation_function", "Identity")).rsplit(".", 1)[-1]
    if name not in ("Identity", "Tanh", "ReLU", "GELU", "Sigmoid"):
        raise ModelError(f"{folder} has the activation {name}; this tool knows Identity, Tanh, ReLU, GELU and Sigmoid")
    file = next((path for path in (folder / "model.safetensors", folder / "pytorch_model.bin") if path.is_file()), None)
    if file is None:
        raise ModelError(f"{folder} holds neither model.safetensors nor pytorch_model.bin; download the model again")
    tensors = {name: tensor.float() for name, tensor in load_tensors(file, pickle=pickle).items()}
    if "linear.weight" not in tensors:
        raise ModelError(f"{file} holds {', '.join(tensors) or 'nothing'}, not linear.weight; download the model again")
    activate = getattr(nn, name)()
    return lambda vector: activate(nn.functional.linear(vector, tensors["linear.weight"], tensors.get("linear.bias")))
