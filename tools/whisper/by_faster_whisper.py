"""Whisper by faster-whisper: checkpoints in CTranslate2's format."""

from __future__ import annotations

import copy
import logging
from typing import Any, get_args

from mmagent.checkpoint import Dtype, loading
from mmagent.errors import ModelError

from .account import Account, Ask, How, Piece
from .checkpoints import Checkpoint


class FasterWhisper:
    """A loaded checkpoint; calls at once share it, since each has a decoder state of its own."""

    def __init__(self, checkpoint: Checkpoint, how: How) -> None:
        import ctranslate2
        from faster_whisper import WhisperModel

        if not (checkpoint.path / "tokenizer.json").is_file():  # the library would look for one on the hub
            raise ModelError(
                f"{checkpoint.path} holds no tokenizer.json; copy that of the model it was converted from into it "
                "(ct2-transformers-converter does with --copy_files tokenizer.json preprocessor_config.json)"
            )
        device, index = _placed(how)
        with loading():
            level = ctranslate2.get_log_level()
            ctranslate2.set_log_level(logging.ERROR)  # float16 becomes float32 on a CPU, which it warns of
            try:
                self._model = WhisperModel(
                    str(checkpoint.path),
                    device=device,
                    device_index=index,
                    compute_type="default" if how.dtype == "auto" else how.dtype,
                    cpu_threads=0,  # as OMP_NUM_THREADS says
                )
            except (RuntimeError, ValueError) as error:
                raise ModelError(
                    f"{checkpoint.path} cannot be loaded by faster-whisper: {error}; download or convert it again"
                ) from error
            finally:
                ctranslate2.set_log_level(level)

    def hear(self, samples: Any, ask: Ask, account: Account) -> None:
        pieces, about = _watched(self._model, account).transcribe(
            samples,
            language=ask.language,
            task=ask.task,
            beam_size=ask.beam_size,
            temperature=ask.temperature,
            initial_prompt=ask.prompt,
            word_timestamps=ask.words,
            vad_filter=ask.vad,
        )
        account.language = about.language
        for piece in pieces:
            words = tuple(Piece(float(word.start), float(word.end), word.word) for word in piece.words or ())
            account.hear(Piece(float(piece.start), float(piece.end), piece.text, words))


def _placed(how: How) -> tuple[str, int]:
    """The device in CTranslate2's words, and its number; ModelError if it is not here, or lacks the precision."""
    import ctranslate2

    device, _, number = how.device.partition(":")
    try:
        index = int(number or 0)
        known = ctranslate2.get_supported_compute_types(device, index)
    except (RuntimeError, ValueError) as error:
        raise ModelError(
            f"faster-whisper: there is no device {how.device} here ({error}); "
            "set device to cpu, or to auto for what there is"
        ) from None
    able = ("auto", *(dtype for dtype in get_args(Dtype) if dtype in known))
    if how.dtype not in able:
        raise ModelError(
            f"faster-whisper computes in no {how.dtype} on {how.device}; "
            f"set dtype to {' or '.join(able)}, or another device"
        )
    return device, index


def _watched(model: Any, account: Account) -> Any:
    """The model for one call, which looks before each window whether it should stop: silent ones yield no piece."""
    view = copy.copy(model)

    def encode(features: Any) -> Any:
        account.again()
        return model.encode(features)

    view.encode = encode
    return view
