"""What is told of a judge: shares with what they rest on, and the commonest mistakes."""

from __future__ import annotations

import json

from mmagent.pocket.judges.report import ALL, Report


def report() -> Report:
    made = Report("pictures")
    for number in range(10):
        made.judged("seeds", {"thing": number > 0, "background": number != 1})
        made.confused("thing", "cat", "dog" if number == 0 else "cat")
        made.offered("noise", True)
        made.offered("blend", number > 4)
    return made


def test_a_ceiling_is_a_share_of_each_attribute_and_of_all_together() -> None:
    shares = [report().ceiling("seeds", name) for name in ("thing", "background", ALL)]
    assert [(score.value, score.n) for score in shares if score] == [(0.9, 10), (0.9, 10), (0.8, 10)]
    assert report().ceiling("worn") is None


def test_refusals_are_told_by_kind_and_together() -> None:
    shares = [report().refused(*kinds) for kinds in ((), ("noise",), ("blend",), ("noise", "blend"))]
    assert [score.value for score in shares if score] == [0.75, 1.0, 0.5, 0.75]


def test_the_report_can_be_read_and_kept() -> None:
    text = "\n".join(report().lines())
    assert "cat                taken for dog                    1" in text
    assert "background   0.900" in text
    told = json.loads(json.dumps(report().data()))
    assert told["confusion"] == {"thing": [["cat", "cat", 9], ["cat", "dog", 1]]}
    assert told["refused"]["blend"]["value"] == 0.5
    assert told["ceilings"]["seeds"]["all"]["n"] == 10
