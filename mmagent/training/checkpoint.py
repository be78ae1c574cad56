"""What is kept of a training run: one safetensors file, whole or not there.

It holds the trained tensors, their average, the optimizer's state and the step. Random numbers need not be kept,
since every step draws its own from the seed and its number.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mmagent.errors import ModelError

if TYPE_CHECKING:
    import torch

NAME = "checkpoint.safetensors"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A run as it was after `step` steps. Tensors by name: `model.*`, `average.*`, `optimizer.<number>.<state>`."""

    step: int
    tensors: Mapping[str, torch.Tensor]
    recipe: Mapping[str, object]

    def part(self, name: str) -> dict[str, torch.Tensor]:
        """The tensors whose names begin with it, without that."""
        start = f"{name}."
        return {key[len(start) :]: value for key, value in self.tensors.items() if key.startswith(start)}


def write(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write the checkpoint in place of the one before; a kill leaves the one or the other."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    path, half = folder / NAME, folder / f".{NAME}.half"  # one name: what a kill leaves, the next one overwrites
    told = {"step": str(checkpoint.step), "recipe": json.dumps(checkpoint.recipe, sort_keys=True)}
    try:
        save_file({name: tensor.contiguous() for name, tensor in checkpoint.tensors.items()}, half, metadata=told)
        with half.open("rb") as file:
            os.fsync(file.fileno())
        half.replace(path)
    finally:
        half.unlink(missing_ok=True)
    return path


def read(folder: Path) -> Checkpoint | None:
    """The checkpoint of a run, or None if it has none; ModelError if the file is none."""
    from safetensors import SafetensorError, safe_open

    path = folder / NAME
    if not path.exists():
        return None
    try:
        with safe_open(path, "pt") as file:
            told = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it is no mapping
        return Checkpoint(int(told["step"]), tensors, json.loads(told["recipe"]))
    except (SafetensorError, KeyError, ValueError) as error:
        raise ModelError(f"{path} is no checkpoint of a training run ({error}); delete it to begin anew") from None
