"""Checkpoints as a user would have them: built small by the library's classes, saved in their own format, loaded once."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mmagent import Card
from mmagent.registry import registry
from tests.tools.encoders.families import Made, torch

Folders = Callable[[str], Path]
"""The folder of a family's checkpoint, by the family's name."""


def save(made: Callable[[], Made], folder: Path) -> Path:
    """Save a small checkpoint with random weights."""
    torch.manual_seed(0)
    model, *prepares = made()
    with torch.no_grad():  # what starts as zeros or ones would hide a mistake
        for item in model.parameters():
            item.add_(torch.randn_like(item) * 0.1)
    model.save_pretrained(folder)
    for item in prepares:
        item.save_pretrained(folder)
    return folder


def pickled(folder: Path, target: Path) -> Path:
    """A copy with pickled weights alone."""
    from safetensors.torch import load_file

    shutil.copytree(folder, target)
    torch.save(load_file(target / "model.safetensors"), target / "pytorch_model.bin")
    (target / "model.safetensors").unlink()
    return target


def card_of(name: str, /, **settings: object) -> Card:
    """The card of a tool with these settings."""
    kind = registry.find(name)
    return kind.card_for(kind.card.check_settings(settings))


def fresh(name: str, /, **settings: object) -> Any:
    """A tool with these settings, loaded."""
    tool: Any = registry.find(name).make(settings)
    tool.load()
    return tool


def loaded(name: str, /, **settings: object) -> Any:
    """A tool with these settings, loaded once for all tests."""
    return _kept(name, *sorted(registry.find(name).card.check_settings(settings).items()))


@functools.cache
def _kept(name: str, *settings: tuple[str, object]) -> Any:
    return fresh(name, **dict(settings))


def threads(model: Any, call: Callable[[], object]) -> set[int]:
    """How many threads a model's passes take, of three that the process has on as many processors."""
    seen = set[int]()
    hook = model.register_forward_hook(lambda *_: seen.add(torch.get_num_threads()))
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("OMP_NUM_THREADS", raising=False)
        patch.setattr("mmagent.checkpoint.threads.usable", lambda: 3)
        torch.set_num_threads(3)
        try:
            call()
        finally:
            torch.set_num_threads(1)
            hook.remove()
    return seen
