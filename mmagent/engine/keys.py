"""Recipe keys and seeds: what makes two calls the same call, in this process and in every other.

A recipe key is the BLAKE3 of the tool's name with its version, the digest of its weights, its settings, its code
where results may be given again, the seed if the tool is given a context, and the digests of its inputs by port.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from typing import Any

from blake3 import blake3

from mmagent.card import Card, Scalar
from mmagent.media import Media

BEGAN = time.time_ns()
"""When this process loaded the engine: a file that changed later may not be what was loaded from it."""

SEEDS = 2**32
"""Seeds are below this, so that every random number generator takes them."""


def prefix(card: Card, settings: Mapping[str, Scalar], code: str = "") -> str:
    """The part of a recipe key's text that no call changes. JSON escapes control characters, so `\\0` ends it."""
    start = json.dumps([card.name, card.weights, sorted(settings.items())], separators=(",", ":"))
    return f"{start}\0code={code}" if code else start


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
