"""Whether a reply calls for the media that were wanted, no others, and in the order in which they were.

What is scored is the model: a medium whose tool failed was called for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from mmagent.evaluation.score import Score, known, share


def routing(wanted: Sequence[Sequence[str]], made: Sequence[Sequence[str]]) -> dict[str, Score]:
    """Scores of requests by the modalities that each wanted and those its reply called for, in order, text left out.

    `precision` and `recall` count media, all together and for each modality. `order` is the share in the right order
    of requests that wanted several modalities and got all; what came besides does not matter to it. `exact` is the
    share of all requests that got what they wanted, in order and nothing else, `unasked` the share of those that
    wanted words alone and got media.
    """
    pairs = [(list(one), list(other)) for one, other in zip(wanted, made, strict=True)]
    hits, asked, came = Counter[str](), Counter[str](), Counter[str]()
    for one, other in pairs:
        hits.update(Counter(one) & Counter(other))
        asked.update(one)
        came.update(other)
    several = [_in_order(one, other) for one, other in pairs if len(set(one)) > 1 and Counter(one) <= Counter(other)]
    silent = [bool(other) for one, other in pairs if not one]
    scores = {
        "precision": share(hits.total(), came.total()),
        "recall": share(hits.total(), asked.total()),
        "order": share(sum(several), len(several)),
        "exact": share(sum(one == other for one, other in pairs), len(pairs)),
        "unasked": share(sum(silent), len(silent)),
    }
    for name in sorted(asked | came):
        scores[f"precision.{name}"] = share(hits[name], came[name])
        scores[f"recall.{name}"] = share(hits[name], asked[name])
    return {f"routing.{name}": score for name, score in known(scores).items()}


def _in_order(wanted: Sequence[str], made: Sequence[str]) -> bool:
    rest = iter(made)
    return all(name in rest for name in wanted)
