from __future__ import annotations

import torch

from mmagent.model.repeats import RepeatPenalty
from mmagent.model.signals import SignalTable

TABLE = SignalTable(6, {"image": 1})
LOGITS = torch.tensor([[2.0, -2.0, 1.0, 0.0, 0.5, 0.5, 3.0, 3.0]])


def test_what_was_said_becomes_less_probable_and_nothing_else_changes() -> None:
    found = RepeatPenalty(TABLE, 2.0)([[0, 1]], LOGITS)
    assert found.tolist() == [[1.0, -4.0, 1.0, 0.0, 0.5, 0.5, 3.0, 3.0]]


def test_captions_may_repeat_the_words_and_words_what_stood_before_a_span() -> None:
    penalty = RepeatPenalty(TABLE, 2.0)
    assert torch.equal(penalty([[0, 1, 6, 0]], LOGITS), LOGITS)
    assert penalty([[0, 6, 4, 7, 1]], LOGITS)[0, :2].tolist() == [2.0, -4.0]
