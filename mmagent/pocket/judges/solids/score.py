"""How good the judge of solids is: on true clouds that it never felt, and on nonsense.

The sets of true clouds are `held out`, drawn from seeds of their own since there is nothing to compose, and `worn`,
these after handling.
"""

from __future__ import annotations

from random import Random

import numpy as np

from mmagent.pocket.judges.facts import NONE
from mmagent.pocket.judges.report import Report
from mmagent.pocket.judges.solids.hand import Hand
from mmagent.pocket.judges.solids.nonsense import KINDS, UNSEEN, nonsense
from mmagent.pocket.judges.solids.task import worn
from mmagent.pocket.judges.verdict import verdict
from mmagent.pocket.world import solids


def score_solids(hand: Hand, n: int, random: Random) -> Report:
    """On `n` true clouds of each set and `n` of each kind of nonsense."""
    report = Report("solids")
    asked = [solids.draw(random) for _ in range(n)]
    clouds = np.stack([solids.render(cloud) for cloud in asked])
    handled = np.stack([worn(points, random) for points in clouds])
    for media, points in (("held out", clouds), ("worn", handled)):
        for cloud, felt in zip(asked, hand.feel(points), strict=True):
            report.judged(media, verdict(cloud, felt))
            report.confused("thing", cloud.thing, felt.thing)
    for kind in (*KINDS, *UNSEEN):
        for felt in hand.feel(np.stack([nonsense(random, kind) for _ in range(n)])):
            report.offered(kind, felt.thing == NONE)
    return report
