"""What was asked for against what a judge found: a pure function, attribute by attribute."""

from __future__ import annotations

from collections.abc import Mapping

from mmagent.pocket.judges.facts import Facts, Felt, Heard, Seen, Watched
from mmagent.pocket.world.scenes import Scene
from mmagent.pocket.world.solids import Cloud
from mmagent.pocket.world.sounds import Noise
from mmagent.pocket.world.videos import Clip
from mmagent.pocket.world.words import Spec


def verdict(asked: Spec, found: Facts) -> Mapping[str, bool]:
    """Whether each attribute that was asked for is right; TypeError where a judge of another modality was asked.

    >>> from mmagent.pocket.judges.facts import Spot
    >>> seen = Seen("blue", (Spot("cat", 20, 16, 32), Spot("cat", 20, 48, 32)))
    >>> verdict(Scene("blue", ("cat",), count=3), seen)
    {'thing': True, 'background': True, 'count': False}
    """
    if isinstance(asked, Scene) and isinstance(found, Seen):
        return _scene(asked, found)
    if isinstance(asked, Clip) and isinstance(found, Watched):
        same: tuple[str, ...] = ("thing", "background", "motion")
    elif isinstance(asked, Noise) and isinstance(found, Heard):
        same = ("thing", "count", "pitch")
    elif isinstance(asked, Cloud) and isinstance(found, Felt):
        same = ("thing",)
    else:
        raise TypeError(f"a {type(asked).__name__} was asked for, and {type(found).__name__} is of another modality")
    return {name: getattr(asked, name) == getattr(found, name) for name in same}


def _scene(asked: Scene, seen: Seen) -> dict[str, bool]:
    right = {
        "thing": {spot.name for spot in seen.spots} == set(asked.things),
        "background": seen.background == asked.background,
    }
    if asked.relation:
        right["relation"] = seen.relation(*asked.things) == asked.relation
    elif asked.count > 1:
        right["count"] = len(seen.spots) == asked.count
    else:
        right["count"] = len(seen.spots) == 1
        right["size"] = asked.size is None or seen.size == asked.size
    return right
