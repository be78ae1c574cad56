"""Taking turns where a library keeps something for the whole process, which no lease of one loaded tool protects."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from .account import Account, Ask

_one = threading.RLock()


@contextlib.contextmanager
def turn(account: Account) -> Iterator[None]:
    """One call at a time in this process; a call that waits may be cancelled."""
    while not _one.acquire(timeout=0.1):
        account.again()
    try:
        yield
    finally:
        _one.release()


@contextlib.contextmanager
def drawing(ask: Ask, account: Account) -> Iterator[None]:
    """Let torch draw from the call's seed, if anything is drawn at all: its generator is that of all threads."""
    import torch

    if ask.temperature == 0:
        yield
        return
    with turn(account), torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(ask.seed)
        yield
