"""What `model.yaml` says of a projector: its kind, and the sizes that this kind has."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=1, le=4096)]


class _Kind(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    def options(self) -> dict[str, Any]:
        """The arguments of the projector beside its widths."""
        return {name: value for name, value in self.model_dump().items() if name != "kind"}


class LinearSpec(_Kind):
    """One linear map a token."""

    kind: Literal["linear"]


class MLPSpec(_Kind):
    """Layers with GELU between them, a token at a time; `fold` neighbouring tokens become one first."""

    kind: Literal["mlp"]
    layers: Annotated[int, Field(ge=2, le=8)] = 2
    fold: Count = 1


class PerceiverSpec(_Kind):
    """`queries` latents that read the features `layers` times."""

    kind: Literal["perceiver"]
    queries: Count = 64
    layers: Count = 6
    heads: Count = 8
    head_dim: Count = 64


class QFormerSpec(_Kind):
    """`queries` that attend to each other and, every second layer, to the features."""

    kind: Literal["qformer"]
    queries: Count = 32
    layers: Count = 12
    dim: Count = 768
    heads: Count = 12
    cross_every: Count = 2


class GroupingSpec(_Kind):
    """Features gathered in stages into fewer and fewer groups."""

    kind: Literal["grouping"]
    groups: tuple[Count, ...] = (64, 8)
    layers: Count = 2
    dim: Count = 768
    heads: Count = 8


class GatedCrossAttentionSpec(_Kind):
    """Cross-attention before every `every`-th layer of the LLM, to the `queries` latents that a resampler of `layers`
    layers makes of a medium. Of the prompt it takes no position: the words around it mark its place."""

    kind: Literal["gated-cross-attention"]
    every: Count = 4
    queries: Count = 64
    layers: Count = 6
    heads: Count = 8
    head_dim: Count = 64


class QueryTransformerSpec(_Kind):
    """An encoder over the states and a decoder with `queries`, in `dim` dimensions."""

    kind: Literal["query-transformer"]
    queries: Count
    dim: Count = 512
    layers: Count = 4
    heads: Count = 4
    feedforward: Count = 2048


InputProjectorSpec = Annotated[
    LinearSpec | MLPSpec | PerceiverSpec | QFormerSpec | GroupingSpec | GatedCrossAttentionSpec,
    Field(discriminator="kind"),
]
OutputProjectorSpec = Annotated[QueryTransformerSpec | MLPSpec, Field(discriminator="kind")]
ProjectorSpec = (
    LinearSpec | MLPSpec | PerceiverSpec | QFormerSpec | GroupingSpec | GatedCrossAttentionSpec | QueryTransformerSpec
)
