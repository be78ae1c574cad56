"""Projectors: what joins an encoder or a generator to an LLM, one kind a file, each from its published definition.

in    linear · mlp · perceiver · qformer · grouping     features of an encoder → embeddings that the LLM reads
in    gated-cross-attention                             features of an encoder → what layers inside the LLM read
out   query-transformer · mlp                           states of signal tokens → conditioning of a generator

A projector maps `[B, L, D_in]` with a mask `[B, L]` (True where a state counts) to `[B, M, D_out]` with a mask
`[B, M]`. What the mask leaves out changes nothing of what counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn

    from mmagent.model.projectors.spec import ProjectorSpec

__all__ = ["make"]

_KINDS = {
    "linear": "mmagent.model.projectors.linear:Linear",
    "mlp": "mmagent.model.projectors.mlp:MLP",
    "perceiver": "mmagent.model.projectors.perceiver:Perceiver",
    "qformer": "mmagent.model.projectors.qformer:QFormer",
    "grouping": "mmagent.model.projectors.grouping:Grouping",
    "gated-cross-attention": "mmagent.model.projectors.gated_cross_attention:GatedCrossAttention",
    "query-transformer": "mmagent.model.projectors.query_transformer:QueryTransformer",
}


def make(spec: ProjectorSpec, d_in: int, d_out: int, **more: int) -> nn.Module:
    """The projector that a spec describes, from states of width `d_in` to states of width `d_out`, weights by chance.

    `more` is what its kind wants to know beside: `n_layers`, how many the LLM has, for those between them.
    """
    from importlib import import_module

    module, name = _KINDS[spec.kind].split(":")
    made: nn.Module = getattr(import_module(module), name)(d_in, d_out, **more, **spec.options())
    return made


def counted(mask: Tensor | None, states: Tensor) -> Tensor:
    """The mask, bool `[B, L]`; all of it where none is given."""
    import torch

    if mask is None:
        return torch.ones(states.shape[:2], dtype=torch.bool, device=states.device)
    return mask.bool()
