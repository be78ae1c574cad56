"""Weights from a folder, a GGUF file or a hub id, as the library's own model and tokenizer.

Nothing is unpickled, and no code from the source is run.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmagent.checkpoint.threads import modest
from mmagent.errors import MissingExtra, MMAgentError, ModelError

if TYPE_CHECKING:
    from mmagent.model.backbones import Backbone


def load(source: str | Path) -> Backbone:
    """The backbone of the kind that the source's configuration tells; MissingExtra or ModelError as `read`."""
    with _told(source, "language model"):
        from transformers import AutoConfig

        where, options = _where(source)
        # Unless it is told not to, the library asks on the terminal whether a folder's own code may run.
        both = AutoConfig.from_pretrained(where, trust_remote_code=False, **options).is_encoder_decoder
        module, name = ("seq2seq", "Seq2SeqBackbone") if both else ("causal", "CausalBackbone")
        kind = getattr(importlib.import_module(f"mmagent.model.backbones.{module}"), name)
    found: Backbone = kind.load(source)
    return found


def read(source: str | Path, auto: str, what: str) -> tuple[Any, Any]:
    """A model in float32, by one of transformers' auto classes, and its tokenizer; ModelError says what cannot be
    loaded as `what` and why, and what of its parameters the source has not."""
    with _told(source, what):
        import torch
        import transformers

        where, options = _where(source)
        safe = {} if options else {"use_safetensors": True}
        with quiet(), modest():
            tokenizer = transformers.AutoTokenizer.from_pretrained(where, trust_remote_code=False, **options)
            model, report = getattr(transformers, auto).from_pretrained(
                where, dtype=torch.float32, trust_remote_code=False, output_loading_info=True, **options, **safe
            )
        if lost := sorted(report["missing_keys"]):  # the library would draw them by chance
            more = " …" if len(lost) > 3 else ""
            raise ModelError(
                f"{source} is no whole {what}: of {type(model).__name__} {len(lost)} parameters are not there, "
                f"{', '.join(lost[:3])}{more}; name a checkpoint that has them"
            )
    return model, tokenizer


def ends(model: Any) -> list[int]:
    """The ids that end a reply, by the model's own generation settings."""
    found = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    return [] if found is None else [found] if isinstance(found, int) else list(found)


@contextlib.contextmanager
def _told(source: str | Path, what: str) -> Iterator[None]:
    """The library's errors as ours."""
    try:
        yield
    except ImportError as error:
        raise MissingExtra(error.name or "torch", "local", f"model {source}") from None
    except MMAgentError:
        raise
    except Exception as error:  # torn files raise safetensors' errors, other shapes torch's, wrong fields anything
        why = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{source} cannot be loaded as a {what}: {why}") from error


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No progress bars of the library's own: they would run into what the program prints."""
    from transformers import modeling_gguf_pytorch_utils as gguf
    from transformers.utils import logging

    shown, bar = logging.is_progress_bar_enabled(), getattr(gguf, "tqdm", None)
    logging.disable_progress_bar()
    if bar is not None:  # its bar does not heed the library's own switch
        gguf.tqdm = functools.partial(bar, disable=True)
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
        if bar is not None:
            gguf.tqdm = bar


def _where(source: str | Path) -> tuple[str, dict[str, str]]:
    """What `from_pretrained` is given: a GGUF file is named apart from its folder."""
    path = Path(source).expanduser()
    if path.suffix == ".gguf":
        if not path.is_file():
            raise ModelError(f"{source} is no file; name a GGUF file, a folder or a hub id")
        return str(path.parent), {"gguf_file": path.name}
    return (str(path), {}) if path.is_dir() else (str(source), {})
