"""The terms of the losses against their definitions."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmagent.training import losses

SEEDS = st.integers(0, 2**31)


def drawn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=50, deadline=None)
@given(SEEDS, st.integers(1, 5), st.integers(1, 6))
def test_signals_cost_the_same_without_the_vocabularys_logits(seed: int, n_positions: int, n_signals: int) -> None:
    states, matrix, rows = drawn(seed, n_positions, 4), drawn(seed + 1, 9, 4), drawn(seed + 2, n_signals, 4)
    ids = torch.randint(n_signals, (n_positions,), generator=torch.Generator().manual_seed(seed))
    frozen = states @ matrix.T
    whole = losses.entropy(torch.cat([frozen, states @ rows.T], dim=-1), ids + 9).mean()
    torch.testing.assert_close(losses.signs(states, rows, frozen.logsumexp(dim=-1), ids), whole)


@settings(max_examples=50, deadline=None)
@given(SEEDS)
def test_states_that_do_not_count_cost_nothing(seed: int) -> None:
    made, target = drawn(seed, 2, 5, 3), drawn(seed + 1, 2, 5, 3)
    mask = torch.tensor([[True] * 5, [True, True, False, False, False]])
    by_hand = ((made[0] - target[0]).square().mean() + (made[1, :2] - target[1, :2]).square().mean()) / 2
    torch.testing.assert_close(losses.distance(made, target, mask), by_hand)
    made[1, 2:] = 100.0
    torch.testing.assert_close(losses.distance(made, target, mask), by_hand)


def test_a_reply_is_as_probable_as_its_ids_together() -> None:
    logits = drawn(0, 5, 7)
    ids, owner = torch.tensor([1, 2, 3, 4, 5]), torch.tensor([0, 1, 0, 1, 1])
    found = losses.sequence(logits, ids, owner, 3)
    logs = logits.log_softmax(-1)
    torch.testing.assert_close(found[:2], torch.stack([logs[0, 1] + logs[2, 3], logs[1, 2] + logs[3, 4] + logs[4, 5]]))
    assert found[2] == 0


def test_preferring_begins_at_the_log_of_two_and_falls_as_the_chosen_gets_ahead() -> None:
    reference = torch.tensor([[-3.0, -4.0], [-9.0, -2.0]])
    start = losses.preference(reference, reference, beta=0.1)
    assert float(start.loss) == pytest.approx(math.log(2))
    ahead = losses.preference(reference + torch.tensor([[1.0, -1.0], [2.0, 0.0]]), reference, beta=0.5)
    assert float(ahead.loss) == pytest.approx(math.log1p(math.exp(-1)))
    assert (float(ahead.accuracy), float(ahead.margin)) == (1.0, 1.0)
    behind = losses.preference(reference - torch.tensor([[1.0, 0.0]]), reference, beta=0.5)
    assert float(behind.loss) > math.log(2) and float(behind.accuracy) == 0.0
