"""The media of the world that are made: what is asked for, how true ones are drawn, who judges, what has to be right.

Media are arrays: pictures `[N, 64, 64, 3]` and clips `[N, 8, 64, 64, 3]`, uint8; sounds `[N, 32000]`, float32.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import Any

from mmagent.pocket.generators.scores import judging, measures
from mmagent.pocket.generators.scores.asked import Draw
from mmagent.pocket.generators.scores.judging import Array, Judge
from mmagent.pocket.generators.scores.measures import Measure
from mmagent.pocket.world import scenes, sounds, splits, videos


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of media: held-out facts by set of prompts, the same facts drawn anew, true media, a judge to be loaded.

    `tasks` are those of GenEval.
    """

    draws: Mapping[str, Draw]
    again: Callable[[Any, Random], Any]
    render: Callable[[Any], Array]
    judge: Callable[[], Judge]
    measures: tuple[Measure, ...]
    tasks: tuple[Measure, ...] = ()


def _again(noise: sounds.Noise, random: Random) -> sounds.Noise:
    return replace(noise, seed=random.getrandbits(32))


KINDS: Mapping[str, Kind] = {
    "pictures": Kind(
        {kind: partial(scenes.draw, kind=kind, allowed=splits.tested) for kind in scenes.KINDS},
        scenes.arranged, scenes.render, judging.pictures, measures.PICTURES, measures.GENEVAL,
    ),
    "clips": Kind(
        {"clip": partial(videos.draw, allowed=splits.tested)},
        videos.arranged, videos.render_clip, judging.clips, measures.CLIPS,
    ),
    "sounds": Kind(
        {"sound": partial(sounds.draw, allowed=splits.tested)},
        _again, sounds.render, judging.sounds, measures.SOUNDS,
    ),
}  # fmt: skip
