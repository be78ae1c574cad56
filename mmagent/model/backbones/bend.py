"""What a model makes of its head's product before it calls it logits: nothing, a factor, or a soft cap as well.

Families name their factors each their own way, and one divides by what another multiplies by, so it is measured.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from mmagent.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor


def bend(model: Any, raw: Tensor, made: Tensor) -> Callable[[Tensor], Tensor]:
    """What turns products with rows into logits, by those of a model's own: `raw` `[V]` became `made` `[V]`.

    `x` becomes `factor · x`, or `cap · tanh(factor · x / cap)` where its configuration has a soft cap. ModelError for a
    model that does anything else.
    """
    config = model.config.get_text_config()
    cap = getattr(config, "final_logit_softcapping", None) or getattr(config, "softcap", None)
    counts = made.isfinite() & (made.abs() < (0.99 * cap if cap else 1e30))  # some masks, and the cap's own ends
    raw, made = raw[counts].double(), made[counts].double()
    straight = cap * torch.atanh(made / cap) if cap else made
    factor = float(raw @ straight / (raw @ raw))
    if not torch.allclose(factor * raw, straight, rtol=0.0, atol=1e-2 * float(straight.abs().max())):
        raise ModelError(f"{type(model).__name__} bends its logits in a way that those of signals cannot follow")
    factor = 1.0 if abs(factor - 1) < 1e-3 else factor
    if cap:
        return lambda products: cap * torch.tanh(factor * products / cap)
    return (lambda products: products) if factor == 1 else (lambda products: factor * products)
