"""How good the judge of sounds is: on true sounds that it never heard, and on nonsense.

The sets of true sounds are as those of pictures; `worn` is what augmentation leaves, vocoders among it.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import numpy as np
import torch

from mmagent.pocket.judges.facts import NONE, Heard
from mmagent.pocket.judges.report import Report
from mmagent.pocket.judges.sounds.augment import augmented
from mmagent.pocket.judges.sounds.ear import Ear
from mmagent.pocket.judges.sounds.nonsense import KINDS, UNSEEN, nonsense
from mmagent.pocket.judges.verdict import verdict
from mmagent.pocket.world import sounds, splits


def score_sounds(ear: Ear, n: int, random: Random) -> Report:
    """On `n` true sounds of each set and `n` of each kind of nonsense."""
    report = Report("sounds")
    for media, allowed in (("trained", splits.trained), ("held out", splits.tested)):
        asked = [sounds.draw(random, allowed) for _ in range(n)]
        samples = np.stack([sounds.render(noise) for noise in asked])
        _judge(report, media, asked, ear.hear(samples))
        if media == "held out":
            _judge(report, "worn", asked, ear.hear(augmented(torch.from_numpy(samples), random).numpy()))
    for kind in (*KINDS, *UNSEEN):
        for heard in ear.hear(np.stack([nonsense(random, kind) for _ in range(n)])):
            report.offered(kind, heard.thing == NONE)
    return report


def _judge(report: Report, media: str, asked: Sequence[sounds.Noise], found: Sequence[Heard]) -> None:
    for noise, heard in zip(asked, found, strict=True):
        report.judged(media, verdict(noise, heard))
        for attribute in ("thing", "count", "pitch"):
            report.confused(attribute, getattr(noise, attribute), getattr(heard, attribute))
