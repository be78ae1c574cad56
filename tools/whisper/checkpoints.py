"""What a Whisper checkpoint is, told from its small files: format, languages, number of parameters.

Imports nothing heavy, unpickles nothing, touches no network.
"""

from __future__ import annotations

import json
import pickletools
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mmagent.checkpoint import config
from mmagent.errors import ModelError

Format = Literal["CTranslate2", "OpenAI", "transformers"]

_CODES = (
    "en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da hu ta no th ur hr bg lt la mi ml "
    "cy sk te fa lv bn sr az sl kn et mk br eu is hy ne mn bs kk sq sw gl mr pa si km sn yo so af oc ka be tg sd gu am "
    "yi lo uz fo ht ps tk nn mt sa lb my bo tl mg as tt haw ln ha ba jw su yue"
)
LANGUAGES = tuple(_CODES.split())
"""Whisper's own codes, in the order of their tokens."""

ENGLISH = 51864
"""Tokens of the vocabulary of an English-only checkpoint; the others have one more for text, and those of languages."""

DIMS = (
    "n_mels", "n_audio_ctx", "n_audio_state", "n_audio_head", "n_audio_layer",
    "n_vocab", "n_text_ctx", "n_text_state", "n_text_head", "n_text_layer",
)  # fmt: skip
"""OpenAI's names of the sizes of a model."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A Whisper checkpoint: where it lies, its format, the languages that it knows, and about how large it is."""

    path: Path
    format: Format
    languages: tuple[str, ...]
    n_parameters: int

    @property
    def multilingual(self) -> bool:
        """Whether it knows languages beside English."""
        return self.languages != ("en",)


def look(path: Path) -> Checkpoint:
    """The checkpoint that lies at `path`, a folder or a file; ModelError if it is no Whisper."""
    folder = path.is_dir()
    found = (_ctranslate2(path) or _transformers(path)) if folder else None
    found = found or _openai(_only_pickle(path) if folder else path)
    if found is None:
        raise ModelError(
            f"{path} is no Whisper checkpoint; name a folder of transformers (config.json of model_type whisper), "
            "a folder of CTranslate2 (model.bin), or a file of OpenAI (.pt)"
        )
    return found


def languages(n_vocab: int) -> tuple[str, ...]:
    """The languages of a vocabulary, by its size.

    >>> languages(51864), len(languages(51865)), len(languages(51866))
    (('en',), 99, 100)
    """
    return LANGUAGES[: n_vocab - ENGLISH + 98] if n_vocab > ENGLISH else ("en",)


def code_of(tag: str) -> str:
    """Whisper's code of a language, which is its BCP 47 tag but for Javanese.

    >>> code_of("de"), code_of("jv")
    ('de', 'jw')
    """
    return "jw" if tag == "jv" else tag


def tag_of(code: str) -> str:
    """The BCP 47 tag of one of Whisper's codes."""
    return "jv" if code == "jw" else code


def dims_of(fields: Mapping[str, Any]) -> dict[str, int]:
    """The sizes of a model in OpenAI's words, from the fields of transformers' config."""
    named = dict(zip(DIMS, (
        "num_mel_bins", "max_source_positions", "d_model", "encoder_attention_heads", "encoder_layers",
        "vocab_size", "max_target_positions", "d_model", "decoder_attention_heads", "decoder_layers",
    )))  # fmt: skip
    try:
        return {name: int(fields[field]) for name, field in named.items()}
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"the config of a Whisper has no number for {error}; save the model again") from None


def _ctranslate2(path: Path) -> Checkpoint | None:
    """A folder whose model.bin begins as CTranslate2 writes it: a version, then the name of what it holds."""
    file = path / "model.bin"
    if not file.is_file():
        return None
    with file.open("rb") as stream:
        version, length = struct.unpack("<IH", stream.read(6).ljust(6, b"\0"))
        name = stream.read(min(length, 64)).rstrip(b"\0")
    if version > 1_000 or name != b"WhisperSpec":
        return None
    n_parameters = file.stat().st_size // 2  # two bytes each, as most are published
    return Checkpoint(path, "CTranslate2", languages(_n_words(path)), n_parameters)


def _n_words(path: Path) -> int:
    """The size of the vocabulary beside CTranslate2's model, which its config does not tell."""
    for name in ("vocabulary.json", "vocabulary.txt"):
        file = path / name
        if file.is_file():
            data = file.read_bytes()
            return len(json.loads(data)) if name.endswith("json") else data.count(b"\n") + (data[-1:] != b"\n")
    raise ModelError(f"{path} holds no vocabulary.json; convert the model again with ct2-transformers-converter")


def _transformers(path: Path) -> Checkpoint | None:
    fields = config(str(path), optional=True) or {}
    if fields.get("model_type") != "whisper":
        return None
    dims = dims_of(fields)
    known = (config(str(path), "generation_config.json", optional=True) or {}).get("lang_to_id")
    tongues = tuple(code.strip("<|>") for code in known) if known else languages(dims["n_vocab"])
    return Checkpoint(path, "transformers", tongues, count(dims))


def _only_pickle(path: Path) -> Path:
    found = sorted(path.glob("*.pt"))
    return found[0] if len(found) == 1 else path / "model.pt"


def _openai(path: Path) -> Checkpoint | None:
    dims = _peek(path) if path.is_file() else {}
    if len(dims) < len(DIMS):
        return None
    return Checkpoint(path, "OpenAI", languages(dims["n_vocab"]), count(dims))


def _peek(path: Path) -> dict[str, int]:
    """The sizes in OpenAI's file, which keeps them in a pickle: its instructions are read one by one, none is run.

    A name that is followed by a whole number is a size.
    """
    found: dict[str, int] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            data = next(item for item in archive.namelist() if item.endswith("data.pkl"))
            name = ""
            for step, value, _ in pickletools.genops(archive.read(data)):
                if isinstance(value, str):
                    name = value
                elif step.name in ("BININT", "BININT1", "BININT2") and name in DIMS:
                    found[name], name = int(value or 0), ""
                if len(found) == len(DIMS):
                    break
    except (OSError, ValueError, StopIteration, zipfile.BadZipFile):
        return {}
    return found


def count(dims: Mapping[str, int]) -> int:
    """About how many parameters a model of these sizes has.

    >>> count(dict(zip(DIMS, (80, 1500, 384, 6, 4, 51864, 448, 384, 6, 4)))) // 100_000
    377
    """
    heard, said = dims["n_audio_state"], dims["n_text_state"]
    encoder = 3 * heard * (dims["n_mels"] + heard) + dims["n_audio_layer"] * 12 * heard**2 + dims["n_audio_ctx"] * heard
    return encoder + dims["n_text_layer"] * 16 * said**2 + (dims["n_vocab"] + dims["n_text_ctx"]) * said
