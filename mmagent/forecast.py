"""What running some tools would take: downloads, memory and seconds, read off their cards. Nothing is loaded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mmagent.card import Card


@dataclass(frozen=True, slots=True)
class Forecast:
    """`downloads` names the weight sets that are not in the cache, with their bytes; `memory` is in bytes."""

    downloads: tuple[tuple[str, int], ...]
    extras: tuple[str, ...]
    memory: int
    seconds: float


def forecast(cards: Iterable[Card], needs: Iterable[str] = (), memory: int = 0, seconds: float = 0.0) -> Forecast:
    """The forecast for calling each of `cards` once, beside `needs`, `memory` and `seconds` that are there anyway."""
    from mmagent.fetch import missing, weights

    called = list(cards)
    loaded = {card.name: card for card in called}.values()
    wanted = dict.fromkeys([*needs, *(need for card in loaded for need in card.needs)])
    sets = [need.removeprefix("weights:") for need in wanted if need.startswith("weights:")]
    return Forecast(
        downloads=tuple((name, weights(name).size) for name in missing(sets)),
        extras=tuple(need.removeprefix("extra:") for need in wanted if need.startswith("extra:")),
        memory=memory + sum(card.memory for card in loaded),
        seconds=seconds + sum(card.cost for card in called),
    )
