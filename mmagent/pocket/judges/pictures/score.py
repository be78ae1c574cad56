"""How good the judge of pictures and videos is: on true media that it never saw, and on nonsense.

The true media are drawn from seeds of their own, and are of three sets: `trained`, of compositions that generators
are trained on; `held out`, of those that they are not; `worn`, these after what files and generators do to pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import numpy as np
import torch

from mmagent.pocket.judges.facts import NONE, Seen
from mmagent.pocket.judges.pictures.augment import augmented
from mmagent.pocket.judges.pictures.drawn import rubbish, spoilt
from mmagent.pocket.judges.pictures.eye import Eye
from mmagent.pocket.judges.pictures.nonsense import KINDS, UNSEEN
from mmagent.pocket.judges.report import Report
from mmagent.pocket.judges.verdict import verdict
from mmagent.pocket.world import scenes, splits, videos

Array = np.ndarray[Any, np.dtype[Any]]

NOTHING = "nothing"
"""Where not even nonsense is seen."""


def score_pictures(eye: Eye, n: int, random: Random) -> Report:
    """On `n` true pictures of each set, and on the things of `n` pictures of each kind of nonsense."""
    report = Report("pictures")
    for media, allowed in (("trained", splits.trained), ("held out", splits.tested)):
        asked = [scenes.draw(random, scenes.KINDS[number % 3], allowed) for number in range(n)]
        pictures = np.stack([scenes.render(scene) for scene in asked])
        _judge(report, media, asked, eye.see(pictures))
        if media == "held out":
            _judge(report, "worn", asked, eye.see(worn(pictures, random)))
    for kind in (*KINDS, *UNSEEN):
        spoils = [spoilt(scenes.draw(random), random, 1.0, (kind,)) for _ in range(n)]
        for drawn, seen in zip(spoils, eye.see(np.stack([one.picture for one in spoils])), strict=True):
            for item in drawn.placed:
                report.offered(kind, _at(seen, item) in (NONE, NOTHING))
    for seen in eye.see(np.stack([rubbish(random) for _ in range(n)])):
        report.offered("rubbish", all(spot.name == NONE for spot in seen.spots))
    return report


def score_videos(eye: Eye, n: int, random: Random) -> Report:
    """On `n` true videos of each set and `n` of each kind of nonsense."""
    report = Report("videos")
    for media, allowed in (("trained", splits.trained), ("held out", splits.tested)):
        asked = [videos.draw(random, allowed) for _ in range(n)]
        clips = np.stack([videos.render_clip(clip) for clip in asked])
        for clip, found in zip(asked, eye.watch(clips), strict=True):
            report.judged(media, verdict(clip, found))
            for attribute in ("thing", "background", "motion"):
                report.confused(attribute, getattr(clip, attribute), getattr(found, attribute))
    for kind, made in (("still", _still), ("shuffled", _shuffled), ("two at once", _two)):
        found_in = eye.watch(np.stack([made(random) for _ in range(n)]))
        for watched in found_in:
            report.offered(kind, NONE in ((watched.thing,) if kind == "two at once" else (watched.motion,)))
    return report


def worn(pictures: Array, random: Random) -> Array:
    """Pictures `[N, 64, 64, 3]` as augmentation leaves them."""
    floats = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
    made: Array = augmented(floats, random)[0].mul(255).round().byte().permute(0, 2, 3, 1).numpy()
    return made


def _judge(report: Report, media: str, asked: Sequence[scenes.Scene], found: Sequence[Seen]) -> None:
    for scene, seen in zip(asked, found, strict=True):
        report.judged(media, verdict(scene, seen))
        report.confused("background", scene.background, seen.background)
        report.confused("count", len(scene.placed), len(seen.spots))
        if scene.relation:
            report.confused("relation", scene.relation, seen.relation(*scene.things))
        if scene.size:
            report.confused("size", scene.size, seen.size)
        for item in scene.placed:
            report.confused("thing", item.name, _at(seen, item))


def _at(seen: Seen, item: scenes.Placed) -> str:
    """The name of what is seen where something lies."""
    near = [spot for spot in seen.spots if max(abs(spot.x - item.x), abs(spot.y - item.y)) < item.size / 2]
    nearest = min(near, key=lambda spot: abs(spot.x - item.x) + abs(spot.y - item.y), default=None)
    return nearest.name if nearest else NOTHING


def _still(random: Random) -> Array:
    """Nothing moves."""
    clip = videos.draw(random)
    return scenes.render(videos.frame(clip, 0))[None].repeat(videos.N_FRAMES, axis=0)


def _shuffled(random: Random) -> Array:
    """The frames in an order in which the thing goes nowhere: each second one from the end."""
    frames = videos.render_clip(videos.draw(random))
    order = np.arange(videos.N_FRAMES)
    order[1::2] = order[1::2][::-1]
    made: Array = frames[order]
    return made


def _two(random: Random) -> Array:
    """Two videos laid through each other."""
    both = [videos.render_clip(videos.draw(random)).astype(np.uint16) for _ in range(2)]
    made: Array = ((both[0] + both[1]) // 2).astype(np.uint8)
    return made
