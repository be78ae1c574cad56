"""The terms that stages add up: each a pure function of tensors, a mean over the things that it names.

N: positions, V: tokens of the vocabulary, n: signal ids, D: width of states, B: spans or pairs, L: states of a target.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional


def entropy(logits: Tensor, ids: Tensor) -> Tensor:
    """Cross-entropy `[N]` of each of `ids` `[N]` under `logits` `[N, V + n]`, in nats."""
    return functional.cross_entropy(logits.float(), ids, reduction="none")


def signs(states: Tensor, rows: Tensor, rest: Tensor, ids: Tensor) -> Tensor:
    """The same where every id is a signal's, without the vocabulary's logits: a mean over positions.

    `states` `[N, D]` come before the ids, `rows` `[n, D]` make their logits, `ids` `[N]` count from the first row,
    and `rest` `[N]` is the log of the sum of the exponentials of the vocabulary's own logits. As long as these are
    frozen, it is a number for each position.
    """
    logits = states.float() @ rows.T  # [N, n]
    whole = torch.logaddexp(rest.float(), logits.logsumexp(dim=-1))  # [N]
    return (whole - logits.gather(-1, ids[:, None])[:, 0]).mean()


def distance(made: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Squared distance of embeddings `[B, L, D]` to their targets, a mean over widths, then states, then spans.

    `mask` `[B, L]` says which states count. GILL (Koh et al. 2023, arXiv:2305.17216, eq. 3), NExT-GPT (Wu et al. 2024,
    arXiv:2309.05519, section 4.2).
    """
    each = (made.float() - target.float()).square().mean(dim=-1)  # [B, L]
    return ((each * mask).sum(dim=-1) / mask.sum(dim=-1).clamp(min=1)).mean()


def sequence(logits: Tensor, ids: Tensor, owner: Tensor, n: int) -> Tensor:
    """The log-probabilities `[n]` of n replies: those of the ids `[N]`, added up for each `owner` `[N]`."""
    each = entropy(logits, ids)
    return -each.new_zeros(n).index_add(0, owner, each)


class Preference(NamedTuple):
    """The loss of preferring, and how often and by how many nats the preferred reply is ahead; scalars."""

    loss: Tensor
    accuracy: Tensor
    margin: Tensor


def preference(policy: Tensor, reference: Tensor, beta: float) -> Preference:
    """Direct preference optimization (Rafailov et al. 2023, arXiv:2305.18290, eq. 7), a mean over pairs.

    `policy` and `reference` `[B, 2]` hold the log-probabilities of the chosen and of the rejected reply under the
    model that is trained and under the one that it started from.
    """
    ahead = policy - reference  # [B, 2]
    margin = beta * (ahead[:, 0] - ahead[:, 1])  # [B]
    return Preference(-functional.logsigmoid(margin).mean(), (margin > 0).float().mean(), margin.mean())
