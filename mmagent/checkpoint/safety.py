"""Refusing what could run code: kernels of the hub, and pickled weights unless the user says so, then as tensors alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mmagent.checkpoint.files import PICKLED, absent, parts, read_json, weights
from mmagent.errors import ModelError

BUILT_IN = ("eager", "sdpa")
"""Attentions that are the library's own; where the package `kernels` is installed, it fetches others from the hub."""


def guard(path: Path, *, pickle: bool = False) -> bool:
    """Whether `path` may be read as safe files alone; False if pickled weights have to be, and `pickle` allows it.

    A folder is safe if each of its parts that holds pickled weights holds safetensors too. ModelError says why
    pickled weights are refused and the two ways out, and names shards that are missing. It also refuses a config
    that asks for an attention of which the library would fetch the code.
    """
    if path.is_file():
        unsafe = [path] if path.suffix.lower() in PICKLED else []
    else:
        folders = parts(path)
        for folder in folders:
            if missing := absent(folder):
                listed = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
                raise ModelError(f"{folder} lacks {listed}, which its index names; download or save the model again")
            shape = folder / "config.json"
            if asked := next(_attentions(read_json(shape)), None) if shape.is_file() else None:
                raise ModelError(
                    f"{shape} asks for the attention {asked}, whose code may come from the hub and would run here; "
                    f"remove that field, or write one of {', '.join(BUILT_IN)}"
                )
        pairs = [(weights(folder, PICKLED), weights(folder, (".safetensors", ".gguf"))) for folder in folders]
        unsafe = [file for pickled, safe in pairs if not safe for file in pickled]
    if unsafe and not pickle:
        raise ModelError(
            f"{unsafe[0]} is pickled, and there are no safetensors beside it: unpickling can run code that somebody "
            "put into the file. Either convert it (model.save_pretrained(FOLDER) writes safetensors), or, if you "
            "trust where it comes from, set pickle: true; it is then read as tensors alone (weights_only=True)"
        )
    return not unsafe


def _attentions(fields: object) -> Iterator[str]:
    """Attentions that a config asks for, itself or in one of its parts, and that are not built in."""
    for name, value in fields.items() if isinstance(fields, dict) else ():
        if name in ("attn_implementation", "_attn_implementation"):
            each = value.values() if isinstance(value, dict) else [value]
            yield from (str(item) for item in each if item is not None and item not in BUILT_IN)
        else:
            yield from _attentions(value)
