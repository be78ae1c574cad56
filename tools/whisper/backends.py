"""Which library serves a checkpoint, and whether it can do what is asked for.

faster-whisper reads CTranslate2's folders; transformers and OpenAI's library read each other's checkpoints.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Any, Literal

from mmagent.errors import MissingExtra, ModelError, RegistryError

from .account import How, Listener
from .checkpoints import Checkpoint, Format, code_of, tag_of

Backend = Literal["faster-whisper", "openai-whisper", "transformers"]

READERS: Mapping[Format, tuple[Backend, ...]] = {
    "CTranslate2": ("faster-whisper",),
    "OpenAI": ("openai-whisper", "transformers"),
    "transformers": ("transformers", "openai-whisper"),
}
"""The libraries that read a format, the first choice first."""

NEEDS: Mapping[Backend, tuple[str, ...]] = {
    "faster-whisper": ("extra:whisper",),
    "openai-whisper": (),
    "transformers": ("extra:local",),
}
_MODULES: Mapping[Backend, str] = {
    "faster-whisper": "faster_whisper",
    "openai-whisper": "whisper",
    "transformers": "transformers",
}


def chosen(found: Checkpoint, backend: str) -> Backend:
    """The library that serves a checkpoint: the one that is named, else the first choice among those installed."""
    able = READERS[found.format]
    if backend == "auto":
        return next((name for name in able if _installed(name)), able[0])
    if backend not in able:
        raise ModelError(
            f"{found.path} is in {found.format}'s format, which {backend} does not read; "
            f"set backend to {' or '.join(able)}, or leave it out"
        )
    return backend


def listener(found: Checkpoint, backend: Backend, how: How, owner: str) -> Listener:
    """The checkpoint loaded by that library; the error gives the one command that installs it."""
    if not _installed(backend):
        if backend == "openai-whisper":
            raise RegistryError(
                f"{owner} needs openai-whisper, which is not installed. Install it with: pip install openai-whisper"
            )
        raise MissingExtra(backend, NEEDS[backend][0].removeprefix("extra:"), owner)
    if backend == "faster-whisper":
        from .by_faster_whisper import FasterWhisper

        return FasterWhisper(found, how)
    if backend == "openai-whisper":
        from .by_openai_whisper import OpenAIWhisper

        return OpenAIWhisper(found, how)
    from .by_transformers import Transformers

    return Transformers(found, how)


def _installed(backend: Backend) -> bool:
    spec = importlib.util.find_spec(_MODULES[backend])
    return spec is not None and spec.submodule_search_locations is not None  # another `whisper` is a single file


def check(found: Checkpoint, backend: Backend, settings: Mapping[str, Any]) -> None:
    """ModelError if the checkpoint does not know the language, or its library cannot do what is asked for."""
    language, temperature, beam_size = settings["language"], settings["temperature"], settings["beam_size"]
    if language and code_of(language) not in found.languages:
        known = ", ".join(map(tag_of, found.languages))
        raise ModelError(f"{found.path} does not know the language {language!r}; it knows {known}")
    if settings["task"] == "translate" and not found.multilingual:
        raise ModelError(f"{found.path} knows English alone and translates nothing; name a multilingual checkpoint")
    if not (0 <= temperature <= 1 and beam_size >= 1):
        raise ModelError(f"temperature is 0 … 1 and beam_size 1 or more, not {temperature} and {beam_size}")
    if temperature and beam_size > 1:
        raise ModelError("a temperature above 0 draws at random, without beams; leave beam_size at 1")
    if temperature and backend == "faster-whisper":
        raise ModelError("faster-whisper draws from a generator that no seed reaches; leave temperature at 0")
    if settings["vad"] and backend != "faster-whisper":
        raise ModelError(f"{backend} has no detector of speech; leave vad out, or put speech-detector before it")
