"""Which combinations are never trained on: chosen by a hash, so that everybody comes to the same.

Held-out combinations are whole: a cat on blue is either never seen in training or never asked for in a test.
"""

from __future__ import annotations

from collections.abc import Iterable

from blake3 import blake3

SHARE = 0.12
"""How many of all combinations are held out."""

Combination = tuple[str, ...]
"""What is combined, with the kind first: `("thing-background", "cat", "blue")`."""


def held_out(combination: Combination) -> bool:
    """Whether a combination is kept for tests."""
    drawn = int.from_bytes(blake3("\0".join(("pocket", *combination)).encode()).digest(length=4))
    return drawn < SHARE * 2**32


def trained(combinations: Iterable[Combination]) -> bool:
    """Whether something made of these combinations may be trained on."""
    return not any(held_out(combination) for combination in combinations)


def tested(combinations: Iterable[Combination]) -> bool:
    """Whether it may be asked for in a test: at least one of its combinations was never trained on."""
    return any(held_out(combination) for combination in combinations)
