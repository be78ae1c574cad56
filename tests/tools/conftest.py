"""The shipped tools by name, and a context that keeps what a tool says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import pytest

from mmagent import Media, load_tool
from mmagent.errors import Cancelled
from mmagent.tool import Splice


class Listener:
    """A Context that keeps what it is told, and cancels at the `cancel_at`-th look."""

    def __init__(self, seed: int = 0, cancel_at: int = 0) -> None:
        self.seed, self.cancel_at = seed, cancel_at
        self.cancelled = False
        self.looks = 0
        self.tokens: list[str] = []
        self.previews: list[Media] = []
        self.notes: list[tuple[float, float, str]] = []

    def check(self) -> None:
        self.looks += 1
        self.cancelled = self.cancelled or self.looks == self.cancel_at
        if self.cancelled:
            raise Cancelled("as the test asked")

    def progress(self, done: float, total: float = 1.0, note: str = "") -> None:
        self.check()
        self.notes.append((done, total, note))

    def token(self, text: str) -> None:
        self.tokens.append(text)

    def preview(self, media: Media) -> None:
        self.previews.append(media)

    def splice(self, graph: Any, inputs: Mapping[str, Media], place: str) -> Splice:
        raise NotImplementedError


@pytest.fixture
def listen() -> Callable[..., Listener]:
    """Make a context: `listen(seed=…, cancel_at=…)`."""
    return Listener


@pytest.fixture
def ctx() -> Listener:
    """A context with seed 0."""
    return Listener()


@pytest.fixture(scope="session")
def load() -> Callable[[str], Any]:
    """A shipped tool by name, loaded once for all tests."""
    return cache(load_tool)
