"""A batch of lessons through the model: logits at supervised places alone, and the states of span ids.

B: lessons, T: positions, N: supervised places, V: tokens, n: signal ids, k: signal ids of a span, D: width of states.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from mmagent.model.parts import Parts
    from mmagent.training.lessons import Lesson


@dataclass(frozen=True, slots=True)
class Reading:
    """What a batch says. `ids` `[N]` are to be predicted by `logits` `[N, V + n]`, which `states` `[N, D]` make;
    `owner` `[N]` is the lesson of each. `spans` hold by modality the states `[S, k, D]` of all spans, in order."""

    logits: Tensor
    states: Tensor
    ids: Tensor
    owner: Tensor
    spans: dict[str, Tensor]


def read(parts: Parts, lessons: Sequence[Lesson], cache: Any = None) -> Reading:
    """Read lessons side by side, padded at their ends; gradients reach whatever is trained. `cache` is what a decoder-only
    LLM has read before them."""
    prompts = [lesson.pieces for lesson in lessons]
    rows = parts.embed(prompts)  # B × [T_b, E]
    inputs = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)  # [B, T, E]
    lengths = torch.tensor([len(row) for row in rows], device=inputs.device)
    mask = torch.arange(inputs.shape[1], device=inputs.device) < lengths[:, None]  # [B, T]
    before: list[int] = []
    ids: list[int] = []
    owner: list[int] = []
    spans: dict[str, list[list[int]]] = {}
    for number, lesson in enumerate(lessons):
        begins = starts(parts, lesson)
        first = number * inputs.shape[1]
        for at in lesson.supervised:
            before.append(first + begins[at] - 1)  # the state before an id tells it
            ids.append(lesson.id_at(at))
            owner.append(number)
        for span in lesson.spans:
            found = [first + begins[at] for at in range(span.signals, span.signals + span.k)]
            spans.setdefault(span.modality, []).append(found)
    places = torch.tensor(before, device=inputs.device)
    begun = {} if cache is None else {"cache": cache}
    branches = _branches(parts, lessons, inputs)
    made = parts.backbone.at(inputs, mask.long(), places, parts.beside(prompts), branches, **begun)
    flat = made.hidden.flatten(0, 1)  # [B · T, D]
    states = flat[places]
    return Reading(
        parts.rows.logits(made.logits, states),
        states,
        torch.tensor(ids, device=inputs.device),
        torch.tensor(owner, device=inputs.device),
        {name: flat[torch.tensor(each, device=inputs.device)] for name, each in spans.items()},
    )


def _branches(parts: Parts, lessons: Sequence[Lesson], inputs: Tensor) -> Tensor | None:
    """The branch `[B, T]` of each position, 0 in the trunk; None where no lesson branches."""
    if not any(lesson.branches for lesson in lessons):
        return None
    found = torch.zeros(inputs.shape[:2], dtype=torch.long, device=inputs.device)
    for row, lesson in zip(found, lessons):
        begins = starts(parts, lesson)
        for branch in lesson.branches:
            row[begins[branch] :] += 1
    return found


def starts(parts: Parts, lesson: Lesson) -> list[int]:
    """The position at which each piece of a lesson begins."""
    return [0, *accumulate(parts.n_positions(piece) for piece in lesson.pieces)]
