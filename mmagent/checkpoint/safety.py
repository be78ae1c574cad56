"""Refusing what could run code: pickled weights are read only where the user says so, and then as tensors alone."""

from __future__ import annotations

from pathlib import Path

from mmagent.checkpoint.files import PICKLED, absent, parts, weights
from mmagent.errors import ModelError


def guard(path: Path, *, pickle: bool = False) -> bool:
    """Whether `path` may be read as safe files alone; False if pickled weights have to be, and `pickle` allows it.

    A folder is safe if each of its parts that holds pickled weights holds safetensors too. ModelError says why
    pickled weights are refused and the two ways out, and names shards that are missing.
    """
    if path.is_file():
        unsafe = [path] if path.suffix.lower() in PICKLED else []
    else:
        folders = parts(path)
        for folder in folders:
            if missing := absent(folder):
                listed = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
                raise ModelError(f"{folder} lacks {listed}, which its index names; download or save the model again")
        pairs = [(weights(folder, PICKLED), weights(folder, (".safetensors", ".gguf"))) for folder in folders]
        unsafe = [file for pickled, safe in pairs if not safe for file in pickled]
    if unsafe and not pickle:
        raise ModelError(
            f"{unsafe[0]} is pickled, and there are no safetensors beside it: unpickling can run code that somebody "
            "put into the file. Either convert it (model.save_pretrained(FOLDER) writes safetensors), or, if you "
            "trust where it comes from, set pickle: true; it is then read as tensors alone (weights_only=True)"
        )
    return not unsafe
