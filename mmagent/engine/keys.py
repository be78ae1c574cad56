"""Recipe keys and seeds: what makes two calls the same call, in this process and in every other.

A recipe key is the BLAKE3 of the tool's name with its version, the digest of its weights, its settings, the
seed if the tool is given a context, and the digests of its inputs by port.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from blake3 import blake3

from mmagent.card import Card, Scalar
from mmagent.media import Media

SEEDS = 2**32
"""Seeds are below this, so that every random number generator takes them."""


def prefix(card: Card, settings: Mapping[str, Scalar]) -> str:
    """The part of a recipe key's text that no call changes. JSON escapes control characters, so `\\0` ends it."""
    return json.dumps([card.name, card.weights, sorted(settings.items())], separators=(",", ":"))


def recipe(start: str, seed: int | None, inputs: Iterable[tuple[str, Any]]) -> str:
    """The recipe key (hex) of a call; `inputs` are media, lists of them or None by port, sorted by port.

    `seed` is None for a tool that is given no context.
    """
    text = start if seed is None else f"{start}\0seed={seed}"
    for port, value in inputs:
        if isinstance(value, Media):
            text += f"\0{port}={value.digest}"
        elif value is not None:
            text += f"\0{port}=[{','.join([item.digest for item in value])}]"
    return blake3(text.encode()).hexdigest()


def derive_seed(seed: int, name: str) -> int:
    """The seed of the node of that name in a run with that seed, in [0, 2³²)."""
    return int.from_bytes(blake3(f"{seed}\0{name}".encode()).digest(length=4))


def code_of(tool: Any) -> str:
    """A digest of a tool's own code: a cached result of an edited tool is not its result any more.

    It covers the functions of the tool itself, not what they call. It differs between Python versions.
    """
    functions = (
        [tool.function] if hasattr(tool, "function") else [*vars(tool).values()] if isinstance(tool, type) else []
    )
    codes = [getattr(item, "__code__", None) for item in functions]
    return blake3("\0".join(_code(code) for code in codes if code is not None).encode()).hexdigest()


def _code(code: Any) -> str:
    constants = [_code(item) if hasattr(item, "co_code") else _constant(item) for item in code.co_consts]
    return f"{code.co_code.hex()}\0{code.co_names}\0{constants}"


def _constant(value: object) -> str:
    return repr(sorted(map(repr, value))) if isinstance(value, frozenset) else repr(value)  # a set's order is random
