"""The judges' weights: float16 safetensors with the names of their classes, told by the digests beside them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from mmagent.errors import DigestMismatch, ModelError

if TYPE_CHECKING:
    import torch

    Net = TypeVar("Net", bound=torch.nn.Module)

WEIGHTS = Path(__file__).parent / "weights"
DIGESTS = "digests.json"
SCORES = "scores.json"
"""What `score --json` told of the weights beside it."""


def save(net: torch.nn.Module, name: str, classes: Sequence[str], folder: Path) -> Path:
    """Write a judge's weights into a folder, and their digest into the list there."""
    import torch
    from safetensors.torch import save

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.safetensors"
    tensors = {key: value.detach().to(torch.float16).contiguous() for key, value in net.state_dict().items()}
    data = save(tensors, metadata={"classes": json.dumps(list(classes))})
    path.write_bytes(data)
    digests = _digests(folder) | {path.name: hashlib.sha256(data).hexdigest()}
    (folder / DIGESTS).write_text(json.dumps(digests, indent=1, sort_keys=True) + "\n", "utf-8")
    return path


def load(net: Net, name: str, classes: Sequence[str], folder: Path = WEIGHTS) -> Net:
    """Fill a network with a judge's weights, as float32, for use.

    DigestMismatch if the file is not what its digest tells; ModelError if there is none, or if it was trained on
    other classes.
    """
    from safetensors import safe_open
    from safetensors.torch import load

    path = folder / f"{name}.safetensors"
    if not path.exists():
        raise ModelError(
            f"{folder} holds no judge {name!r}; train it: python -m mmagent.pocket.judges train --out {folder} {name}"
        )
    data = path.read_bytes()
    expected, got = _digests(folder).get(path.name), hashlib.sha256(data).hexdigest()
    if got != expected:
        raise DigestMismatch(
            f"{path} has sha256 {got}, but {DIGESTS} beside it tells {expected}; train or fetch it anew"
        )
    with safe_open(path, "pt") as file:
        known = json.loads((file.metadata() or {}).get("classes", "[]"))
    if known != list(classes):
        raise ModelError(f"{path} was trained on other classes than the world has now; train it anew")
    net.load_state_dict({key: value.float() for key, value in load(data).items()})
    return net.eval()


def ceiling(judge: str, attribute: str = "all") -> float:
    """The share of true media of held-out compositions on which a shipped judge tells an attribute right.

    Scores by this judge are shares of it. Judges are pictures, videos, sounds, solids; KeyError names what is unknown.
    """
    told = json.loads((WEIGHTS / SCORES).read_text("utf-8"))
    value: float = {report["judge"]: report for report in told}[judge]["ceilings"]["held out"][attribute]["value"]
    return value


def _digests(folder: Path) -> dict[str, str]:
    path = folder / DIGESTS
    found: dict[str, str] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return found
