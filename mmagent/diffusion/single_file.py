"""A pipeline out of one file of weights, which says nothing of its shape: the configs that describe it lie elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmagent import checkpoint
from mmagent.checkpoint.files import DESCRIBING
from mmagent.diffusion.layout import INDEX
from mmagent.errors import ModelError, Offline


def described(file: Path, config: str) -> Path:
    """The folder of the configs that describe a file: `config`, those beside it, or those of the base model it looks like.

    Of a hub id that is not here the configs alone are downloaded. Offline if they cannot be had.
    """
    if not config and (file.parent / INDEX).is_file():
        return file.parent
    config = config or _base(file)
    try:
        return checkpoint.locate(config, download=False)
    except Offline:
        return _download(config)


def from_file(kind: Any, file: Path, configs: Path, config: str, dtype: Any) -> Any:
    """The pipeline of class `kind` of a file and its configs. ModelError says how to get parts that the file lacks."""
    from diffusers.loaders.single_file_utils import SingleFileComponentError

    try:
        return kind.from_single_file(str(file), config=str(configs), dtype=dtype, local_files_only=True)
    except SingleFileComponentError as error:
        whole = f"hf download {config}" if config else "set config to a folder that holds them"
        raise ModelError(f"{file} holds not all parts of a {kind.__name__}; get the others: {whole}") from error


def _base(file: Path) -> str:
    """The hub id of the model that the file is a kind of, by the names and shapes of its tensors."""
    import torch
    from diffusers.loaders.single_file_utils import fetch_diffusers_config, load_single_file_checkpoint

    if file.suffix != ".safetensors":
        return str(fetch_diffusers_config(load_single_file_checkpoint(str(file)))["pretrained_model_name_or_path"])
    from safetensors import safe_open

    with safe_open(file, "pt") as tensors:
        shapes = {name: torch.empty(tensors.get_slice(name).get_shape(), device="meta") for name in tensors.keys()}  # noqa: SIM118  # it is no mapping
    return str(fetch_diffusers_config(shapes)["pretrained_model_name_or_path"])


def _download(config: str) -> Path:
    import huggingface_hub as hub

    patterns = [f"*{ending}" for ending in DESCRIBING]
    try:
        found = Path(hub.snapshot_download(config, allow_patterns=patterns, local_files_only=True))
        if (found / INDEX).is_file():
            return found
    except hub.errors.LocalEntryNotFoundError:
        pass  # not here yet
    try:
        return Path(hub.snapshot_download(config, allow_patterns=patterns))
    except Exception as error:  # the library's own errors, its HTTP client's and OSError all mean that there are none
        raise Offline(
            f"the configs of {config} are not here, and the hub gave none: {type(error).__name__}; set config to a "
            f"folder that holds them, or get them with: hf download {config} --include '*.json' '*.txt' '*.model'"
        ) from error
