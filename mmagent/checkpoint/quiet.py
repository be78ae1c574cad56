"""Loading without a word: no bars and reports of the libraries' own, which would run into what a program prints."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No progress bars and no messages below errors from transformers and the hub's client, as far as they are loaded.

    It switches what belongs to the process; `loading` lets one thread do it at a time.
    """
    undo = contextlib.ExitStack()
    if "huggingface_hub" in sys.modules:
        from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

        if not are_progress_bars_disabled():
            disable_progress_bars()
            undo.callback(enable_progress_bars)
    if "transformers" in sys.modules:
        from transformers.utils import logging

        if logging.is_progress_bar_enabled():
            logging.disable_progress_bar()
            undo.callback(logging.enable_progress_bar)
        undo.callback(logging.set_verbosity, logging.get_verbosity())
        logging.set_verbosity_error()
    with undo:
        yield
