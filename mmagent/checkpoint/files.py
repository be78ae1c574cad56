"""Which files make a checkpoint: its weights, in which of them unpickling is needed, and what is still missing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from mmagent.errors import ModelError

PICKLED = (".bin", ".pt", ".pth", ".ckpt")
WEIGHTS = (".safetensors", ".gguf", *PICKLED)
DESCRIBING = (".json", ".txt", ".model", ".spm", ".yaml", ".yml", ".jinja", ".tiktoken")
"""Endings of what changes results beside the weights: configs, vocabularies, merges, templates."""

_VARIANT = re.compile(r"\.(fp16|bf16|fp32|non_ema)(?:\.|-\d)")
_TRAINING = ("training_args", "optimizer", "scheduler", "rng_state", "random_states", "scaler")
"""What trainers leave beside the weights; no loader reads it."""


def is_weights(name: str, endings: tuple[str, ...] = WEIGHTS) -> bool:
    """Whether a file of that name holds weights, by its ending; what trainers leave does not count."""
    path = PurePosixPath(name)
    return path.suffix.lower() in endings and not path.name.startswith((".", *_TRAINING))


def parts(path: Path) -> list[Path]:
    """The folders that are loaded each by itself: the checkpoint, and those of a pipeline or of sentence encoders."""
    composed = any((path / name).is_file() for name in ("model_index.json", "modules.json"))
    inner = sorted(item for item in path.iterdir() if item.is_dir() and item.name[0] != ".") if composed else []
    return [path, *inner]


def weights(folder: Path, endings: tuple[str, ...] = WEIGHTS) -> list[Path]:
    """The files of weights that lie in a folder, not below it."""
    return sorted(item for item in folder.iterdir() if item.is_file() and is_weights(item.name, endings))


def members(path: Path) -> Iterator[Path]:
    """Every file of a checkpoint that changes what comes out of it, in a fixed order.

    Beside a single file of weights those are its configs.
    """
    if path.is_file():
        yield from [path, *(item for item in sorted(path.parent.glob("*.json")) if item != path)]
        return
    for folder in parts(path):
        for item in sorted(folder.iterdir()):
            describing = item.suffix.lower() in DESCRIBING and item.name[0] != "."
            if item.is_file() and (describing or is_weights(item.name)):
                yield item


def read_json(path: Path) -> dict[str, Any]:
    """A config file; ModelError if it is none."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read as JSON: {error}; download or save the model again") from None
    if not isinstance(found, dict):
        raise ModelError(f"{path} holds a {type(found).__name__}, not the fields of a config; save the model again")
    return found


def tensors(path: Path) -> frozenset[str] | None:
    """The names of the tensors in a folder's safetensors, of which the headers alone are read; None if it has none."""
    files = weights(path, (".safetensors",)) if path.is_dir() else [path]
    found: set[str] = set()
    for file in files:
        with file.open("rb") as stream:
            size = int.from_bytes(stream.read(8), "little")  # the format: a length, so much JSON, then the tensors
            if file.suffix != ".safetensors" or size > file.stat().st_size:
                return None
            try:
                found |= set(json.loads(stream.read(size)))
            except ValueError:
                return None  # loading it says what is wrong with it
    return frozenset(found - {"__metadata__"}) or None


def absent(folder: Path) -> list[str]:
    """Shards that an index of a folder names and that are not there; of pickled ones where there are no safetensors.

    ModelError if it names what lies elsewhere, or what is no safetensors in an index of those: a library would load
    it, though nothing that guards the folder or tells it from another looks there.
    """
    named, safe = set[str](), bool(weights(folder, (".safetensors",)))
    for index in folder.glob("*.index*.json"):
        listed = read_json(index).get("weight_map", {})
        found = {str(shard) for shard in listed.values()} if isinstance(listed, dict) else {str(listed)}
        ending = ".safetensors" if ".safetensors.index" in index.name else ""
        if wrong := sorted(shard for shard in found if Path(shard).name != shard or not shard.endswith(ending)):
            raise ModelError(
                f"{index} names {wrong[0]}; the shards of an index lie beside it and end as it does: do not use it, "
                "or save the model again"
            )
        # Indexes are downloaded with those of pickles and other precisions, whose shards are not.
        if index.name.endswith(".index.json") and (ending or not safe):
            named |= found
    return sorted(shard for shard in named if not (folder / shard).is_file())


def whole(path: Path) -> bool:
    """Whether a snapshot of the hub holds the weights of each of its parts; a download may have been cut off."""
    folders = parts(path)
    modelled = [folder for folder in folders if (folder / "config.json").is_file()]
    return any(weights(folder) for folder in folders) and all(
        weights(folder) and not absent(folder) for folder in modelled if folder != path or len(folders) == 1
    )


def wanted(names: Iterable[str]) -> list[str]:
    """Which files of a repository to download: one copy of the weights, safetensors where there are any, no code.

    >>> wanted(["model.safetensors", "pytorch_model.bin", "tf_model.h5", "config.json", "README.md"])
    ['config.json', 'model.safetensors']
    """
    listed = sorted(names)
    pipeline = "model_index.json" in listed
    converted = {"model.safetensors", "model.safetensors.index.json"} & set(listed)
    safe = {PurePosixPath(name).parent for name in listed if name.endswith(".safetensors")}
    plain = {PurePosixPath(name).parent for name in listed if name.endswith(".safetensors") and not variant(name)}

    def keep(name: str) -> bool:
        path = PurePosixPath(name)
        if any(part.startswith(".") or part in ("onnx", "openvino", "coreml") for part in path.parts):
            return False
        if not is_weights(name):
            return path.suffix.lower() in DESCRIBING
        if (pipeline and len(path.parts) == 1) or (converted and path.name.startswith("open_clip_")):
            return False  # the same weights once more, for other programs
        if path.suffix.lower() in PICKLED:
            return path.parent not in safe
        return not (variant(name) and path.parent in plain)

    return [name for name in listed if keep(name)]


def variant(name: str) -> str:
    """In which other precision these are weights once more, or "".

    >>> variant("model.fp16.safetensors"), variant("model.bf16-00001-of-00002.safetensors"), variant("model.safetensors")
    ('fp16', 'bf16', '')
    """
    found = _VARIANT.search(PurePosixPath(name).name)
    return found[1] if found else ""
