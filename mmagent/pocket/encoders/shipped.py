"""The encoders' weights: float16 safetensors in the package, each told by its digest."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mmagent.errors import ModelError

if TYPE_CHECKING:
    import torch

WEIGHTS = Path(__file__).parent / "weights"


def digest(name: str, folder: Path = WEIGHTS) -> str:
    """The sha256 of an encoder's weights; ModelError if there are none."""
    path = folder / f"{name}.safetensors"
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        raise ModelError(
            f"{folder} holds no encoder of {name}; train it: python -m mmagent.pocket.encoders train --out {folder} {name}"
        ) from None


def save(encoder: torch.nn.Module, name: str, folder: Path) -> Path:
    """Write an encoder's weights into a folder, whole or not at all."""
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    path, part = folder / f"{name}.safetensors", folder / f"{name}.part"
    save_file({key: value.detach().to(torch.float16).contiguous() for key, value in encoder.state_dict().items()}, part)
    part.replace(path)
    return path


def load(name: str, folder: Path = WEIGHTS) -> torch.nn.Module:
    """An encoder for use, float32; ModelError if its weights are not there."""
    from safetensors.torch import load_file

    from mmagent.pocket.encoders.nets import SolidEncoder, SoundEncoder

    digest(name, folder)
    kinds: Mapping[str, type[torch.nn.Module]] = {"sounds": SoundEncoder, "solids": SolidEncoder}
    net = kinds[name]()
    net.load_state_dict({key: value.float() for key, value in load_file(folder / f"{name}.safetensors").items()})
    return net.eval().requires_grad_(False)
