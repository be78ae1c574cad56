"""Whisper by OpenAI's own library: its own checkpoints, and those of transformers under other names."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from mmagent.checkpoint import placement
from mmagent.errors import ModelError

from .account import Account, Ask, How, Piece
from .checkpoints import Checkpoint
from .naming import read, to_openai, torn
from .turns import drawing, turn


class OpenAIWhisper:
    """A loaded checkpoint for one call at a time: the library keeps its cache in hooks on the model."""

    def __init__(self, checkpoint: Checkpoint, how: How) -> None:
        import whisper

        if how.dtype == "bfloat16":
            raise ModelError("openai-whisper computes in float32 or float16; set dtype to one of them, or to auto")
        where = placement(how.device, how.dtype, f"model {checkpoint.path}")
        if how.dtype == "float16" and where.device.type == "cpu":
            raise ModelError("openai-whisper computes in float32 on a processor; set dtype to float32, or to auto")
        dims, state = read(checkpoint, how.pickle)
        model = whisper.model.Whisper(whisper.model.ModelDimensions(**dims))
        try:
            model.load_state_dict(to_openai(state) if checkpoint.format == "transformers" else state)
        except RuntimeError as error:
            raise torn(checkpoint, error) from error
        self._model = model.to(where.device).eval().requires_grad_(False)
        self._half = where.dtype.itemsize == 2  # its own float16, which it makes of the weights as it runs

    def hear(self, samples: Any, ask: Ask, account: Account) -> None:
        # To time words the library switches a class, and with it every model of the process.
        alone = turn(account) if ask.words else contextlib.nullcontext()
        with alone, drawing(ask, account), _watching(self._model, account):
            found = self._model.transcribe(
                samples.copy(),  # torch warns of read-only arrays
                language=ask.language,
                task=ask.task,
                beam_size=ask.beam_size if ask.beam_size > 1 else None,
                temperature=ask.temperature,
                initial_prompt=ask.prompt,
                word_timestamps=ask.words,
                fp16=self._half,
            )
        account.language = found["language"]
        for piece in found["segments"]:
            words = tuple(
                Piece(float(word["start"]), float(word["end"]), word["word"]) for word in piece.get("words") or ()
            )
            if piece["text"]:
                account.hear(Piece(float(piece["start"]), float(piece["end"]), piece["text"], words))


@contextlib.contextmanager
def _watching(model: Any, account: Account) -> Iterator[None]:
    """Tell the account of each window that is begun, and look at each token whether the call should stop.

    The library says nothing while it is at work. It calls `model.decode` for every window, with the ids of the
    prompt and of all that was heard before.
    """
    import torch

    import whisper

    tokens = whisper.tokenizer.get_tokenizer(model.is_multilingual, num_languages=model.num_languages)
    decode, windows, hint = model.decode, 0, 0

    def begin(mel: Any, options: Any) -> Any:
        nonlocal windows, hint
        hint = hint if windows else len(options.prompt)
        account.publish(tokens.decode([token for token in options.prompt[hint:] if token < tokens.eot]))
        account.reach(windows * 30.0)
        windows += 1
        return decode(mel, options)

    n_threads = torch.get_num_threads()
    hooked = [(block.cross_attn, dict(block.cross_attn._forward_hooks)) for block in model.decoder.blocks]
    model.decode = begin
    hook = model.decoder.register_forward_pre_hook(lambda *_: account.ctx.check())
    try:
        yield
    finally:
        hook.remove()
        del model.decode
        for attention, hooks in hooked:  # a call that stops while words are timed leaves the library's own behind
            attention._forward_hooks.clear()
            attention._forward_hooks.update(hooks)
        if torch.get_num_threads() != n_threads:  # numba, which times words, sets them to all processors
            torch.set_num_threads(n_threads)
