"""From what the trainings left to the folders that come with the package: pipelines of diffusers, float16.

A folder lacks what is fetched, the weights and the vocabulary of the text encoder; `files.json` tells its files'
digests, what it is, and the stages that it comes from. `mmagent.fetch` makes it whole.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from mmagent.fetch.catalogue import ENCODER

LISTING = "files.json"


def ship(pipe: Any, folder: Path, about: str, stages: dict[str, str]) -> Path:
    """Write a pipeline's own files in place of what the folder held; `stages` tells which training made which part."""
    half = folder.with_name(f".{folder.name}")
    shutil.rmtree(half, ignore_errors=True)
    pipe.save_pretrained(half, safe_serialization=True)
    for path in half.rglob("*.safetensors"):
        _halve(path)
    for path in half.rglob("config.json"):
        _forget_place(path)
    for name in ENCODER.files.values():
        (half / name).unlink(missing_ok=True)
    files = {
        path.relative_to(half).as_posix(): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size)
        for path in sorted(half.rglob("*"))
        if path.is_file()
    }
    told = {"about": about, "stages": stages, "files": files}
    (half / LISTING).write_text(json.dumps(told, indent=1) + "\n", "utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    return half.rename(folder)


def stages_of(folder: Path) -> dict[str, str]:
    """Which training made which part of a shipped folder; nothing if there is none."""
    listing = folder / LISTING
    found: dict[str, str] = json.loads(listing.read_text("utf-8"))["stages"] if listing.exists() else {}
    return found


def _halve(path: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(path)
    halved = {name: value.half() if value.is_floating_point() else value for name, value in tensors.items()}
    save_file(halved, path, {"format": "pt"})


def _forget_place(path: Path) -> None:
    """Take out of a config where on this machine its network was loaded from."""
    config = json.loads(path.read_text("utf-8"))
    config.pop("_name_or_path", None)
    path.write_text(json.dumps(config, indent=2) + "\n", "utf-8")
