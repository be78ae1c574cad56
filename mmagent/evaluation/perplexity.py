"""How well an LLM tells a plain text: what training on other things may have cost it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from mmagent.checkpoint.threads import modest
from mmagent.errors import IntakeError
from mmagent.training import losses

if TYPE_CHECKING:
    from mmagent.model.backbones import Backbone


def perplexity(backbone: Backbone, text: str, window: int = 512) -> float:
    """The exponential of the mean cross-entropy of the text's tokens, each told from those before it in its window of
    so many; the first of a window is not told. LoRA in the backbone counts. IntakeError for a text of one token."""
    ids = backbone.tokens.content(text)
    if len(ids) < 2:
        raise IntakeError("a perplexity needs a text of two tokens at least")
    total = count = 0.0
    device = backbone.in_rows.device
    with modest(), torch.no_grad():
        for begin in range(0, len(ids) - 1, window):
            read = torch.tensor(ids[begin : begin + window], device=device)
            inputs, told = backbone.embed(read)[None], torch.arange(len(read) - 1, device=device)
            found = backbone.at(inputs, torch.ones_like(read)[None], told)
            total += float(losses.entropy(found.logits, read[1:]).sum())
            count += len(told)
    return math.exp(total / count)
