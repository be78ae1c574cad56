"""Random numbers of torch, drawn from a call's own seed."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from .account import Ask

_one = threading.Lock()


@contextlib.contextmanager
def drawing(ask: Ask) -> Iterator[None]:
    """Let torch draw from the call's seed, if anything is drawn at all.

    Both libraries draw from the generator that torch has for all threads, so one call draws at a time.
    """
    import torch

    if ask.temperature == 0:
        yield
        return
    with _one, torch.random.fork_rng(devices=[]):
        torch.manual_seed(ask.seed)
        yield
