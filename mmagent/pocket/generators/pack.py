"""From pipelines to the folders that come with the package: diffusers' format, float16, nothing in it twice.

A folder lacks what is fetched, the weights and the vocabulary of the text encoder, and what another folder holds
already. `files.json` tells its own files' digests, which files it shares, what it is, and the stages that it comes
from. `mmagent.fetch` makes it whole.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mmagent.errors import ModelError
from mmagent.fetch.catalogue import ENCODER

LISTING = "files.json"
SHARED, TRAINED = "shared.safetensors", "trained.safetensors"
"""The two files of a network that is cut: what another may share, and what that one has trained anew."""


def pack(
    save: Callable[[Path], object],
    folder: Path,
    about: str,
    stages: Mapping[str, str],
    cut: Callable[[str], bool] | None = None,
    beside: Path | None = None,
) -> Path:
    """Have `save` write a pipeline, in place of what the folder held.

    `stages` tells which training made which part. With `cut` the denoiser becomes two files, of which TRAINED holds
    the tensors whose names `cut` picks. Weights that the shipped folder `beside` holds under the same names are left
    to it. ModelError if other folders share what would be lost here.
    """
    half = folder.with_name(f".{folder.name}")
    shutil.rmtree(half, ignore_errors=True)
    save(half)
    for name in ENCODER.files.values():
        (half / name).unlink(missing_ok=True)
    for path in half.rglob("*.safetensors"):
        _halve(path)
    for path in half.rglob("config.json"):
        _forget_place(path)
    if cut is not None:
        _cut(next((half / "unet").glob("*.safetensors")), cut)
    files = {
        path.relative_to(half).as_posix(): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size)
        for path in sorted(half.rglob("*"))
        if path.is_file()
    }
    _keep_for_others(folder, files)
    shared = {}
    for name, (sha256, _) in files.items() if beside is not None else ():
        if name.endswith(".safetensors") and listed(beside, "files").get(name, [""])[0] == sha256:
            shared[name] = sha256
            (half / name).unlink()
    own = {name: facts for name, facts in files.items() if name not in shared}
    told = {"about": about, "stages": stages, "files": own}
    if beside is not None:
        told["shared"] = {beside.name: shared}
    (half / LISTING).write_text(json.dumps(told, indent=1) + "\n", "utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    return half.rename(folder)


def listed(folder: Path | None, what: str) -> dict[str, Any]:
    """A field of a shipped folder's listing: `stages`, `files`, `shared`; nothing if there is none."""
    listing = folder and folder / LISTING
    found: dict[str, Any] = json.loads(listing.read_text("utf-8")) if listing and listing.exists() else {}
    return dict(found.get(what, {}))


def _keep_for_others(folder: Path, files: Mapping[str, tuple[str, int]]) -> None:
    for other in sorted(path.parent for path in folder.parent.glob(f"*/{LISTING}")):
        for name, sha256 in listed(other, "shared").get(folder.name, {}).items():
            if files.get(name, ("", 0))[0] != sha256:
                raise ModelError(
                    f"{other} shares {name} with {folder} as it is now; delete {other}, and ship it again once it is "
                    "trained on what you ship"
                )


def _halve(path: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(path)
    halved = {name: value.half() if value.is_floating_point() else value for name, value in tensors.items()}
    save_file(halved, path, {"format": "pt"})


def _cut(path: Path, apart: Callable[[str], bool]) -> None:
    """Part a network's file in two and write the index by which libraries find each tensor."""
    from safetensors.torch import load_file, save_file

    tensors = load_file(path)
    places = {name: TRAINED if apart(name) else SHARED for name in sorted(tensors)}
    for file in (SHARED, TRAINED):
        part = {name: tensors[name] for name, place in places.items() if place == file}
        save_file(part, path.with_name(file), {"format": "pt"})
    size = sum(value.nbytes for value in tensors.values())
    index = {"metadata": {"total_size": size}, "weight_map": places}
    path.with_name(f"{path.name}.index.json").write_text(json.dumps(index, indent=1) + "\n", "utf-8")
    path.unlink()


def _forget_place(path: Path) -> None:
    """Take out of a config where on this machine its network was loaded from."""
    config = json.loads(path.read_text("utf-8"))
    config.pop("_name_or_path", None)
    path.write_text(json.dumps(config, indent=2) + "\n", "utf-8")
