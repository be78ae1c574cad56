"""Voices in files: a speaker's vector of SpeechT5, and the presets of Bark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmagent import Embedding
from mmagent.checkpoint import config, locate
from mmagent.errors import ModelError

PROMPTS = {"semantic_prompt": 1, "coarse_prompt": 2, "fine_prompt": 2}
"""What a preset of Bark holds, and of how many dimensions each part is."""


def voice_files(voice: str, model: str, revision: str) -> list[Path]:
    """The files that hold a voice: one of the user's, or a preset's in the checkpoint; none for a speaker's number."""
    if not voice or voice.isdecimal():
        return []
    if Path(voice).expanduser().is_file():
        return [Path(voice).expanduser()]
    presets = config(model, "speaker_embeddings_path.json", revision=revision, optional=True) or {}
    named = presets.get(voice)
    if not isinstance(named, dict):
        some = ", ".join(sorted(name for name, entry in presets.items() if isinstance(entry, dict))[:5])
        raise ModelError(f"voice {voice} is neither a file nor a preset of {model}; its presets: {some or 'none here'}")
    folder = locate(model, revision=revision, download=False)
    paths = [folder / str(named.get(part)) for part in PROMPTS]
    for path in paths:
        if ".." in path.parts or folder not in path.parents:
            raise ModelError(f"{model} names files outside of itself as voice {voice}; do not use it")
        if not path.is_file():
            raise ModelError(f"{path} of voice {voice} is not there; download it into the folder of the model")
    return paths


def preset(voice: str, model: str, revision: str) -> dict[str, Any] | None:
    """The tensors of a preset of Bark; ModelError if the files hold something else."""
    import numpy as np
    import torch

    if not voice:
        return None
    files = voice_files(voice, model, revision)
    if not files:
        raise ModelError(f"voice of {model} is the name of a preset or an .npz file of one, not the number {voice}")
    try:
        loaded = [np.load(path, allow_pickle=False) for path in files]
        arrays = dict(loaded[0]) if len(files) == 1 else dict(zip(PROMPTS, loaded, strict=True))
        tensors = {part: torch.from_numpy(np.asarray(arrays[part], dtype="int64")) for part in PROMPTS}
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise ModelError(f"voice {voice} holds no preset of Bark ({error}); it needs {', '.join(PROMPTS)}") from None
    for part, n_dims in PROMPTS.items():
        if tensors[part].ndim != n_dims:
            raise ModelError(f"voice {voice}: {part} has {tensors[part].ndim} dimensions, not {n_dims}")
    return tensors


def vector(voice: str, width: int) -> Any:
    """A speaker's vector `[1, D]` from an `.npy` file, or from a saved Embedding."""
    import numpy as np
    import torch

    path = Path(voice).expanduser()
    if not path.is_file():
        raise ModelError(f"there is no file {voice}; set voice to an .npy file of a speaker's vector")
    try:
        found = np.load(path, allow_pickle=False) if path.suffix == ".npy" else Embedding.open(path).array
    except (ValueError, OSError) as error:
        raise ModelError(f"voice {voice} holds no array: {error}") from None
    if found.size != width:
        raise ModelError(f"voice {voice} holds {found.size} numbers, not {width}")
    return torch.tensor(np.asarray(found, dtype="float32").reshape(1, width))
