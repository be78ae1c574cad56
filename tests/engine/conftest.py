"""Engines that are closed after each test, and graphs written in one line a node."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from mmagent.engine import Cache, Engine
from mmagent.graph.builder import GraphBuilder
from mmagent.registry import Registry


@pytest.fixture
def engine() -> Iterator[Engine]:
    """An engine that keeps nothing on disk."""
    made = Engine()
    yield made
    made.close()


@pytest.fixture
def forgetful() -> Iterator[Engine]:
    """An engine that keeps nothing at all."""
    made = Engine(cache=Cache(budget=0))
    yield made
    made.close()


@pytest.fixture
def build() -> Callable[..., GraphBuilder]:
    """Makes builders with a registry of their own."""
    return lambda name="test", **options: GraphBuilder(name, registry=Registry(), **options)
