"""What is done once to fetched files, so that running never reads anything but safetensors and plain data.

Each function reads the folder `raw` and writes the folder `ready`. Its version is part of a set's digest.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from mmagent.errors import FetchError, MissingExtra
from mmagent.fetch.process import ProcessFailed, Progress, watch

Convert = Callable[[Path, Path], None]


def as_is(raw: Path, ready: Path) -> None:
    """Keep the files as they came."""
    shutil.copytree(raw, ready, dirs_exist_ok=True, copy_function=shutil.move)


def pickle_to_safetensors(raw: Path, ready: Path) -> None:
    """`NAME.pth` → `NAME.safetensors`: the state dict read with `weights_only=True`, so that no code of its runs."""
    import torch
    from safetensors.torch import save_file

    for path in sorted(raw.rglob("*.pth")):
        state = torch.load(path, map_location="cpu", weights_only=True)
        save_file({name: value.contiguous() for name, value in state.items()}, ready / f"{path.stem}.safetensors")


def gguf_to_transformers(raw: Path, ready: Path) -> None:
    """`NAME.gguf` → a transformers folder in float32 safetensors, with tokenizer and chat template.

    Dequantising takes most of a minute; the folder then loads in under a second, bit for bit the same.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    (path,) = raw.glob("*.gguf")
    tokenizer = AutoTokenizer.from_pretrained(raw, gguf_file=path.name)
    model = AutoModelForCausalLM.from_pretrained(raw, gguf_file=path.name, dtype=torch.float32)
    if _field(path, "tokenizer.ggml.pre") == "smollm":
        # transformers reads every byte-level GGUF as GPT-2's; llama.cpp's "smollm" also parts each digit off,
        # without which "  12" comes out in other ids than the model was trained on.
        from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence

        digits = Digits(individual_digits=True)
        tokenizer.backend_tokenizer.pre_tokenizer = Sequence([digits, ByteLevel(add_prefix_space=False)])
    # save_pretrained refuses a model that says it is quantised, which after dequantising it no longer is.
    model.hf_quantizer = None
    for name in ("quantization_method", "is_quantized"):
        if hasattr(model, name):
            delattr(model, name)
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(ready)
    tokenizer.save_pretrained(ready)


CONVERSIONS: Mapping[str, tuple[Convert, tuple[str, ...]]] = {
    "as-is.v1": (as_is, ()),
    "pickle-to-safetensors.v1": (pickle_to_safetensors, ("torch", "safetensors")),
    "gguf-to-transformers.v1": (gguf_to_transformers, ("torch", "transformers", "gguf", "safetensors")),
}
"""The conversions by name, each with the libraries that it imports."""


_PROGRAM = """
import sys
from pathlib import Path
from mmagent.fetch.convert import CONVERSIONS
CONVERSIONS[sys.argv[1]][0](Path(sys.argv[2]), Path(sys.argv[3]))
"""


def check(name: str, wanted_by: str) -> None:
    """Raise MissingExtra with the first library that the conversion imports and that is not installed."""
    for library in CONVERSIONS[name][1]:
        if importlib.util.find_spec(library) is None:
            raise MissingExtra(library, "local", wanted_by)


def convert(name: str, raw: Path, ready: Path, total: int, note: str, progress: Progress) -> None:
    """Convert the folder `raw` to the folder `ready`, both together about `total` bytes; FetchError says what failed.

    Real work runs in a process of its own: it can be stopped, gives its memory back, and draws no bars of its own.
    """
    if CONVERSIONS[name][0] is as_is:
        as_is(raw, ready)
        return
    command = [sys.executable, "-c", _PROGRAM, name, str(raw), str(ready)]
    try:
        watch(command, ready.parent, note, total, progress, {"TQDM_DISABLE": "1"})
    except ProcessFailed as reason:
        raise FetchError(f"{note} failed: {reason}") from None


def _field(path: Path, name: str) -> object:
    """The value of a GGUF file's header field, or None."""
    from gguf import GGUFReader

    field = GGUFReader(path).fields.get(name)
    return field.contents() if field else None
