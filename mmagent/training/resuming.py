"""Lessons read on from what they begin with, which has been read before: a decoder-only LLM looks back alone.

Nothing here is kept on a disk; `beginnings` does that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile
from typing import TYPE_CHECKING

import torch
from torch.nn.utils.rnn import pad_sequence

from mmagent.model.backbones.causal import CausalBackbone
from mmagent.model.projectors.gated_cross_attention import GatedCrossAttention
from mmagent.training.reading import Reading, read

if TYPE_CHECKING:
    from torch import Tensor

    from mmagent.model.parts import Parts
    from mmagent.model.pieces import Piece
    from mmagent.training.lessons import Lesson


def resumes(parts: Parts) -> bool:
    """Whether a model's LLM can go on from what it has read, and nothing stands between its layers."""
    gated = any(isinstance(part, GatedCrossAttention) for part in parts.inputs.values())
    return isinstance(parts.backbone, CausalBackbone) and parts.backbone.remembers and not gated


def begin(parts: Parts, beginnings: Sequence[Sequence[Piece]]) -> list[Tensor]:
    """What is to be remembered of beginnings, without gradients: of each `[layers, 2, H, S, d]`."""
    backbone, was = _backbone(parts), parts.training
    parts.eval()
    with torch.no_grad():
        rows = parts.embed(beginnings)
        lengths = torch.tensor([len(row) for row in rows], device=parts.device)
        inputs = pad_sequence(rows, batch_first=True)  # [B, T, E]
        cache = backbone.cache()
        backbone.read(inputs, (torch.arange(inputs.shape[1], device=inputs.device) < lengths[:, None]).long(), cache)
    parts.train(was)
    return backbone.remember(cache)


def resume(parts: Parts, lessons: Sequence[Lesson], cuts: Sequence[int], kept: Sequence[Tensor]) -> Reading:
    """As `read`, where of each lesson the pieces before `cut` are remembered; none of them is supervised."""
    rest = [
        replace(
            lesson, pieces=lesson.pieces[cut:], supervised=tuple(at - cut for at in lesson.supervised),
            spans=tuple(replace(span, signals=span.signals - cut) for span in lesson.spans),
        )
        for lesson, cut in zip(lessons, cuts, strict=True)
    ]  # fmt: skip
    return read(parts, rest, _backbone(parts).recall(kept))


def read_alike(parts: Parts, lessons: Sequence[Lesson]) -> Reading:
    """As `read` without gradients, and what all lessons begin with is read once."""
    most = min(min(lesson.supervised) - 1 for lesson in lessons)
    beginnings = zip(*(lesson.pieces[:most] for lesson in lessons))
    common = sum(1 for _ in takewhile(lambda same: len({*same}) == 1, beginnings))
    if len(lessons) == 1 or not common or any(lesson.branches for lesson in lessons) or not resumes(parts):
        return read(parts, lessons)
    (kept,) = begin(parts, [lessons[0].pieces[:common]])
    return resume(parts, lessons, [common] * len(lessons), [kept] * len(lessons))


def _backbone(parts: Parts) -> CausalBackbone:
    assert isinstance(parts.backbone, CausalBackbone)  # noqa: S101  # said by `resumes`
    return parts.backbone
