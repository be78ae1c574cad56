"""Loading without a word: no bars and reports of the libraries' own, which would run into what a program prints."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator

_LOCK = threading.Lock()
_UNDO = contextlib.ExitStack()
_inside = 0


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No progress bars and no messages below errors from transformers and the hub's client, as far as they are loaded.

    The switches belong to the process: the first thread that comes in turns them off, the last that leaves turns
    them back.
    """
    global _inside
    with _LOCK:
        _inside += 1
        _silence()
    try:
        yield
    finally:
        with _LOCK:
            _inside -= 1
            if not _inside:
                _UNDO.close()


def _silence() -> None:
    """Switch off what is loaded and not off yet; a library may be imported while another thread is inside."""
    if "huggingface_hub" in sys.modules:
        from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

        if not are_progress_bars_disabled():
            disable_progress_bars()
            _UNDO.callback(enable_progress_bars)
    if "transformers" in sys.modules:
        from transformers.utils import logging

        if logging.is_progress_bar_enabled():
            logging.disable_progress_bar()
            _UNDO.callback(logging.enable_progress_bar)
        if logging.get_verbosity() != logging.ERROR:
            _UNDO.callback(logging.set_verbosity, logging.get_verbosity())
            logging.set_verbosity_error()
