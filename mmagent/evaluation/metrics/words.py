"""Words as most metrics compare them."""

from __future__ import annotations

import unicodedata


def plain(text: str) -> str:
    """Small letters, digits and apostrophes, in words; accents and vowel signs of any script stay.

    >>> plain("It's  ten, isn't it?")
    "it's ten isn't it"
    """
    kept = (letter if letter == "'" or unicodedata.category(letter)[0] in "LMN" else " " for letter in text.lower())
    return " ".join("".join(kept).split())
